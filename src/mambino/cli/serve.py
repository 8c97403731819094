"""`mambino serve`: the model as an HTTP server, with a web page. Start at command."""

import ipaddress
import json
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.chat.context import ContextPolicy
from mambino.chat.persona import find_persona, list_personas
from mambino.cli.adapters import with_personas
from mambino.cli.opening import Opened, open_all, resident_memory
from mambino.cli.options import chosen_model, debug_option, model_options, overrides, sampling_options
from mambino.cli.persona import request_of
from mambino.cli.personas import adapter_of, folders, is_pack, mcp_tools, open_persona
from mambino.cli.sampling import choose_sampling
from mambino.cli.serve_tools import ServedTools
from mambino.cli.terminal import human_bytes, note
from mambino.errors import InputError, Unsupported
from mambino.generation.params import SamplingParams
from mambino.hub.local import home

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mambino.server.service import Limits, Service

KEY_VARIABLE = "MAMBINO_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where to listen, whom to answer, and what to offer."""

    host: str
    port: int
    api_key: str | None
    allow_hosts: tuple[str, ...]
    allow_origins: tuple[str, ...]
    has_page: bool
    has_mcp: bool


@click.command()
@model_options
@sampling_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 picks a free one.")
@click.option("--slots", type=click.IntRange(1, 256), default=4, show_default=True, help="Answers at the same time.")
@click.option("--queue", type=click.IntRange(0), default=256, show_default=True, help="Requests that may wait.")
@click.option("--max-body", type=click.IntRange(1), default=8, show_default=True, metavar="MB", help="Of a request.")
@click.option(
    "--grace", type=click.IntRange(0), default=30, show_default=True, metavar="S", help="To finish at the end."
)
@click.option("--api-key-file", type=click.Path(exists=True, dir_okay=False), help=f"Or set {KEY_VARIABLE}.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without an API key.")
@click.option("--allow-host", "allow_hosts", multiple=True, metavar="NAME", help="Another name of this server.")
@click.option("--allow-origin", "allow_origins", multiple=True, metavar="URL", help="Another site's pages may call it.")
@click.option("-p", "--persona", "personas", multiple=True, metavar="NAME", help="Read it at the start; repeatable.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="clock, calculator, notes or home, for the page.")
@click.option(
    "--when-full",
    type=click.Choice(["error", "drop", "summarise"]),
    default="error",
    show_default=True,
    help="A conversation that is too long is refused, loses its oldest turns, or has them summed up by the model.",
)
@click.option(
    "--mcp-server", "servers", multiple=True, metavar="URL|COMMAND", help="An MCP server whose tools the page may use."
)
@click.option("--mcp", "has_mcp", is_flag=True, help="Offer the tools to MCP clients, at /mcp and /mcp/PERSONA.")
@click.option("--no-page", is_flag=True, help="Only the APIs, no web page.")
@click.option("--keep-state", is_flag=True, help="Keep what was read on disk, so that the next start need not read it.")
@click.option("--self-test", "tests_itself", is_flag=True, help="First check that answers do not depend on neighbours.")
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    host: str,
    port: int,
    slots: int,
    queue: int,
    max_body: int,
    grace: int,
    api_key_file: str | None,
    insecure: bool,
    allow_hosts: tuple[str, ...],
    allow_origins: tuple[str, ...],
    personas: tuple[str, ...],
    tools: tuple[str, ...],
    when_full: ContextPolicy,
    servers: tuple[str, ...],
    has_mcp: bool,
    no_page: bool,
    keep_state: bool,
    tests_itself: bool,
) -> None:
    """Serve a model: OpenAI's and Anthropic's APIs, and a web page to chat.

    \b
    mambino serve                                    the bundled model on http://127.0.0.1:8080
    mambino serve -m model.gguf --slots 8 --memory 6GiB
    mambino serve --persona innkeeper --tool clock --when-full drop
    mambino serve --adapter poet=poet.gguf           clients ask for MODEL:poet, or send {"adapter": "poet"}
    mambino serve --mcp-server "npx some-server" --mcp   tools of others for the page, and ours for others
    mambino serve --host 0.0.0.0 --api-key-file key.txt

    Routes: /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/models, /tokenize, /detokenize,
    /health, /metrics, /openapi.json, with --mcp /mcp, and the page at /, which asks before it runs a tool of another
    server that does not call itself read-only. Sampling options set the defaults of requests that say nothing.
    Ctrl-C lets running answers finish; a second one does not.
    """
    asked = overrides(ctx)
    options = ServeOptions(
        host=host,
        port=port,
        api_key=_api_key(api_key_file),
        allow_hosts=allow_hosts,
        allow_origins=allow_origins,
        has_page=not no_page,
        has_mcp=has_mcp,
    )
    _require_safe(options, insecure)
    _require_extra()
    from mambino.server.host import listen, serve
    from mambino.server.service import Limits

    found = [*list_personas(folders()), *(find_persona(name, folders()) for name in personas if not is_pack(name))]
    opened = open_all(with_personas(chosen_model(ctx), found), slots=slots)
    limits = Limits(slots=slots, max_waiting=queue, max_body_bytes=max_body * 1_000_000, when_full=when_full)
    service = _service(opened, limits, choose_sampling(opened.checkpoint, asked).params, keeps_state=keep_state)
    if tests_itself:
        _test(service)
    with mcp_tools(servers) as fetched, listen(host, port) as sock:
        served_tools = ServedTools(tools, fetched)
        for name in personas:
            _pin(opened, service, name, served_tools)
        options = replace(options, port=sock.getsockname()[1])
        app = _app(opened, service, options, served_tools)
        _greet(opened, service, options)
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("mambino.server").setLevel(logging.INFO)
        try:
            serve(app, service, sock, grace_s=grace)
        except KeyboardInterrupt:  # uvicorn passes on the signal that it has obeyed
            note("stopped")


def _api_key(path: str | None) -> str | None:
    """From the file, else from the environment. Raises InputError for an empty file."""
    if path is None:
        return os.environ.get(KEY_VARIABLE) or None
    key = Path(path).read_text(encoding="utf-8").strip()
    if not key:
        raise InputError(f"[serve] --api-key-file {path}: the file is empty; put the key on its first line")
    return key


def _require_safe(options: ServeOptions, insecure: bool) -> None:
    if not (is_loopback(options.host) or options.api_key or insecure):
        raise click.UsageError(
            f"--host {options.host} can be reached from other machines: give --api-key-file, or --insecure if you must."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_extra() -> None:
    try:
        import jsonschema  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise Unsupported(f"[serve] {error.name} is not installed: pip install 'mambino[server]'") from error


def _service(opened: Opened, limits: "Limits", defaults: SamplingParams, *, keeps_state: bool) -> "Service":
    from mambino.server.served import ServedModel
    from mambino.server.service import Service
    from mambino.server.worker import BatchingLM

    batching = BatchingLM(opened.model)
    shared = replace(opened, model=batching)
    return Service(
        served=ServedModel(name=opened.name, default=opened.adapters.default, named=opened.adapters.named),
        batching=batching,
        answerer=shared.answerer(store=shared.store() if keeps_state else None),
        limits=limits,
        defaults=defaults,
    )


def _test(service: "Service") -> None:
    from mambino.server.self_test import self_test

    faults = self_test(service.batching)
    if faults:
        raise InputError(f"[serve] --self-test: {'; '.join(faults)}")
    note("self-test passed: alone, among others and from a snapshot, the same answers")


def _pin(opened: Opened, service: "Service", name: str, tools: ServedTools) -> None:
    """Make a persona answer at once, for good: its packed state, or its text read now."""
    answerer = service.answerer
    pack = open_persona(name, service.batching, opened.fingerprint)
    schemas = tools.box(pack.persona.id).schemas if answerer.knows_tools else ()
    request = request_of(pack.persona, schemas, adapter_of(pack, opened.adapters))
    if pack.place is None or not answerer.cache.put(pack.place, keep="pinned"):
        answerer.warm(request)
    else:
        answerer.prepare(request)
    note(f"{pack.persona.name} is ready")


def _app(opened: Opened, service: "Service", options: ServeOptions, tools: ServedTools) -> "ASGIApp":
    from mambino.server.app import build_app
    from mambino.server.guard import Access
    from mambino.server.mcp_endpoint import McpEndpoint
    from mambino.server.page_routes import Page
    from mambino.server.sessions import SessionFolder

    names = frozenset({"localhost", "127.0.0.1", "[::1]", options.host.lower(), *options.allow_hosts})
    access = Access(
        hosts=names if is_loopback(options.host) or options.allow_hosts else None,
        api_key=options.api_key,
        origins=frozenset(options.allow_origins),
    )
    page = Page(
        sessions=SessionFolder(home() / "sessions"),
        personas=lambda: list_personas(folders()),
        tools=tools.box,
        memory=tools.memory,
        resident=resident_memory,
        planned_nbytes=opened.plan.total,
    )
    endpoint = McpEndpoint(tools.own_box, max_body_bytes=service.limits.max_body_bytes) if options.has_mcp else None
    return build_app(service, access, page if options.has_page else None, endpoint)


def _greet(opened: Opened, service: "Service", options: ServeOptions) -> None:
    shown = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{options.port}"
    limits = service.limits
    memory = human_bytes(opened.plan.total)
    note(f"{opened.name}: {limits.slots} slots of {service.context} tokens, at most {memory} by plan")
    body = json.dumps({"messages": [{"role": "user", "content": "Hello!"}]})
    key = " -H 'authorization: Bearer KEY'" if options.api_key else ""
    note(f"curl {address}/v1/chat/completions{key} -H 'content-type: application/json' -d '{body}'")
    click.echo(f"serving on {address}" + (" (with a web page)" if options.has_page else ""))

"""What the web page needs: its files, its conversations, personas, gauges, and a say in running answers.

Start at Page, which build_app is given to have a page at all.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mambino.chat.memory import MAX_FACT_CHARS, Memory
from mambino.chat.messages import ToolCall
from mambino.chat.persona import Persona
from mambino.chat.toolbox import ToolBox
from mambino.errors import TemplateError
from mambino.server.asked import OBJECT
from mambino.server.body import read_body
from mambino.server.reply import JsonReply
from mambino.server.schema import Body, Checker, fields, listed, optional, text
from mambino.server.service import Service
from mambino.server.sessions import SESSION, SessionFolder

TOOL_CALL = Checker(fields({"persona": optional(text()), "name": text(), "arguments": OBJECT}, ["name", "arguments"]))
FACTS = Checker(fields({"facts": listed(text(maxLength=4 * MAX_FACT_CHARS), maxItems=1000)}, ["facts"]))

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows beside answers.

    sessions        where conversations are kept
    personas        what there is to choose, asked anew every time
    tools           what the persona of that id, or none, may use; this server runs them for the page
    memory          of the persona of that id, None if it remembers nothing
    resident        bytes of this process in memory now, None where the system does not say
    planned_nbytes  the most that the process should take, None without a plan
    """

    sessions: SessionFolder
    personas: Callable[[], Sequence[Persona]]
    tools: Callable[[str | None], ToolBox]
    memory: Callable[[str], Memory | None]
    resident: Callable[[], int | None]
    planned_nbytes: int | None = None

    async def index(self, service: Service, request: Request) -> Response:
        """GET /: the page."""
        return _file("index.html")

    async def asset(self, service: Service, request: Request) -> Response:
        """GET /page/NAME: its scripts and styles. Raises HTTPException 404."""
        return _file(request.path_params["name"])

    async def list_personas(self, service: Service, request: Request) -> Response:
        """GET /api/personas."""
        personas = await asyncio.to_thread(self.personas)
        return JsonReply({"personas": [await asyncio.to_thread(self._described, service, one) for one in personas]})

    async def update_memory(self, service: Service, request: Request) -> Response:
        """PUT /api/personas/ID/memory: what the persona remembers from now on. Raises HTTPException 404."""
        body = await read_body(request, FACTS, service.limits.max_body_bytes)
        memory = await asyncio.to_thread(self.memory, request.path_params["id"])
        if memory is None:
            raise HTTPException(404, "this persona remembers nothing")
        await asyncio.to_thread(memory.replace, cast(Sequence[str], body["facts"]))
        return JsonReply(_memory(memory))

    async def run_tool(self, service: Service, request: Request) -> Response:
        """POST /api/tools: run a call of the model; what went wrong is the result's text."""
        body = await read_body(request, TOOL_CALL, service.limits.max_body_bytes)
        box = self.tools(cast("str | None", body.get("persona"))).for_turn()
        call = ToolCall(id="", name=str(body["name"]), arguments=cast(Mapping[str, object], body["arguments"]))
        result = await asyncio.to_thread(box.call, call)
        return JsonReply({"text": result.text, "is_error": result.is_error})

    async def status(self, service: Service, request: Request) -> Response:
        """GET /api/status: what the gauges show."""
        return JsonReply(
            {
                "model": service.name,
                "context": service.context,
                "can_think": _can_think(service),
                "tools": self._schemas(service, None),
                "asking": sorted(self.tools(None).asking),
                "slots": service.slots.count,
                "running": service.slots.running,
                "waiting": service.slots.waiting,
                "state_bytes": service.answerer.state_nbytes,
                "resident_bytes": self.resident(),
                "planned_bytes": self.planned_nbytes,
            }
        )

    def _described(self, service: Service, persona: Persona) -> Body:
        memory = self.memory(persona.id)
        return {
            "id": persona.id,
            "name": persona.name,
            "description": persona.description,
            "system": persona.system_text(),
            "greeting": persona.greeting,
            "sampling": dict(persona.sampling),
            "thinking": persona.thinking,
            "adapter": persona.adapter_name if persona.adapter_name in service.served.named else None,
            "tools": self._schemas(service, persona.id),
            "asking": sorted(self.tools(persona.id).asking),
            "memory": None if memory is None else _memory(memory),
        }

    def _schemas(self, service: Service, persona_id: str | None) -> list[Mapping[str, object]]:
        """Nothing if the model cannot be told of tools."""
        return list(self.tools(persona_id).schemas) if service.answerer.knows_tools else []

    async def list_sessions(self, service: Service, request: Request) -> Response:
        """GET /api/sessions: id, title, time of each, newest first."""
        return JsonReply({"sessions": await asyncio.to_thread(self.sessions.summaries)})

    async def create_session(self, service: Service, request: Request) -> Response:
        """POST /api/sessions: keep a conversation."""
        session = await read_body(request, SESSION, service.limits.max_body_bytes)
        return JsonReply({"id": await asyncio.to_thread(self.sessions.create, session)}, 201)

    async def read_session(self, service: Service, request: Request) -> Response:
        """GET /api/sessions/ID. Raises HTTPException 404."""
        session = await asyncio.to_thread(self.sessions.read, request.path_params["id"])
        if session is None:
            raise _unknown()
        return JsonReply(session)

    async def update_session(self, service: Service, request: Request) -> Response:
        """PUT /api/sessions/ID. Raises HTTPException 404."""
        session = await read_body(request, SESSION, service.limits.max_body_bytes)
        if not await asyncio.to_thread(self.sessions.update, request.path_params["id"], session):
            raise _unknown()
        return Response(status_code=204)

    async def delete_session(self, service: Service, request: Request) -> Response:
        """DELETE /api/sessions/ID. Raises HTTPException 404."""
        if not await asyncio.to_thread(self.sessions.delete, request.path_params["id"]):
            raise _unknown()
        return Response(status_code=204)


def _file(name: str) -> Response:
    """A file of the page; only names that are there, so no path can lead elsewhere."""
    known = {entry.name: entry for entry in files("mambino.server").joinpath("page").iterdir() if entry.is_file()}
    media_type = _TYPES.get(name[name.rfind(".") :])
    if name not in known or media_type is None:
        raise HTTPException(404, "no such file")
    headers = {"content-security-policy": _POLICY, "cache-control": "no-cache"}
    return Response(known[name].read_bytes(), media_type=media_type, headers=headers)


def _memory(memory: Memory) -> Body:
    """facts, and the text that a conversation begins with because of them."""
    return {"facts": list(memory.facts), "most": memory.max_facts, "text": memory.text()}


def _can_think(service: Service) -> bool:
    """Whether the model's template has a switch for it."""
    try:
        return "enable_thinking" in service.answerer.prompt.template.source
    except TemplateError:
        return False


def _unknown() -> HTTPException:
    return HTTPException(404, "no such conversation")

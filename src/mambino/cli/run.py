"""`mambino run`: one prompt in, one answer out. Start at command."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import click

from mambino.chat.events import TextPart
from mambino.chat.session import Chat
from mambino.chat.turn import Turn
from mambino.cli.opening import Opened, open_all
from mambino.cli.options import (
    chosen_model,
    debug_option,
    json_option,
    model_options,
    overrides,
    sampling_options,
    thinking_option,
)
from mambino.cli.run_report import logprob_line, report
from mambino.cli.sampling import ChosenSampling, choose_sampling
from mambino.cli.terminal import PromptProgress, note, write
from mambino.generation.generate import generate
from mambino.generation.speculate import Speculation

INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What to do with the prompt. logprobs None is off."""

    system: str | None
    thinking: bool | None
    raw: bool
    parse_special: bool
    logprobs: int | None
    as_json: bool


@click.command()
@click.argument("prompt", nargs=-1)
@model_options
@sampling_options
@click.option("-s", "--system", metavar="TEXT", help="Instructions before the prompt.")
@thinking_option
@click.option("--raw", is_flag=True, help="Continue PROMPT as it is, without the chat template.")
@click.option("--parse-special", is_flag=True, help="With --raw: control tokens spelled in PROMPT are real.")
@click.option("--logprobs", type=click.IntRange(0), metavar="N", help="Show tokens with the N likeliest at each place.")
@json_option
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    prompt: tuple[str, ...],
    system: str | None,
    thinking: bool | None,
    raw: bool,
    parse_special: bool,
    logprobs: int | None,
    as_json: bool,
) -> int:
    """Answer PROMPT on standard output and exit.

    Every argument that is not an option belongs to PROMPT; the model is only ever named with -m. Words are joined by
    spaces; the word - stands for standard input, as does no PROMPT at all. Put -- before a PROMPT that begins with a
    dash.

    \b
    mambino run "Why is the sky blue?"
    mambino run -m zoo/ape:Q4_K_M -n 100 Tell me a story
    cat notes.txt | mambino run "Summarise this:" -
    mambino run --raw "Once upon a time"

    The answer streams to standard output; thinking and remarks go to standard error.
    """
    if raw and (system is not None or thinking is not None):
        raise click.UsageError("--system and --think belong to the chat template, which --raw leaves out.")
    if parse_special and not raw:
        raise click.UsageError("--parse-special needs --raw.")
    asked = overrides(ctx)
    text = prompt_text(prompt)
    wanted = RunOptions(
        system=system,
        thinking=thinking,
        raw=raw,
        parse_special=parse_special,
        logprobs=logprobs,
        as_json=as_json,
    )
    opened = open_all(chosen_model(ctx))
    sampling = choose_sampling(opened.checkpoint, asked).with_fresh_seed()
    return _Run(opened, sampling, wanted).answer(text)


def prompt_text(words: Sequence[str]) -> str:
    """The prompt that the command line means; "-", or nothing, stands for standard input.

    Raises     UsageError if there is nothing to answer
    """
    if not words and sys.stdin.isatty():
        raise click.UsageError('Nothing to answer: give a PROMPT, or pipe text in. (To talk, use "mambino chat".)')
    pieces = [
        _standard_input() if is_dash else " ".join(group)
        for is_dash, group in groupby(words or ("-",), key=lambda word: word == "-")
    ]
    text = "\n\n".join(pieces)
    if not text.strip():
        raise click.UsageError("Nothing to answer: the prompt is empty.")
    return text


def _standard_input() -> str:
    """All of it, without the newline that ends a file."""
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"Standard input is not UTF-8 text (byte {error.start}).") from error


class _Run:
    """One answer, from prompt to exit code."""

    def __init__(self, opened: Opened, sampling: ChosenSampling, options: RunOptions) -> None:
        self._opened = opened
        self._sampling = replace(sampling, params=replace(sampling.params, logprobs=options.logprobs))
        self._options = options
        self._turn: Turn | None = None

    def answer(self, text: str) -> int:
        """Print the answer to text. Returns the exit code."""
        parts: list[TextPart] = []
        is_interrupted = False
        progress = PromptProgress()
        try:
            for part in self._raw(text, progress) if self._options.raw else self._chat(text, progress):
                parts.append(part)
                self._show(part)
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            progress.clear()
        if self._turn is None:
            raise KeyboardInterrupt
        self._finish(parts, self._turn, is_interrupted)
        return INTERRUPTED if is_interrupted else 0

    def _chat(self, text: str, progress: PromptProgress) -> Iterator[TextPart]:
        opened = self._opened
        chat = Chat(
            opened.model,
            opened.tokenizer,
            max_tokens=opened.context,
            params=self._sampling.params,
            system=self._options.system,
            thinking=self._options.thinking,
            adapter=opened.adapters.default,
        )
        try:
            events = chat.reply(text, on_prompt_progress=progress)
            yield from (event for event in events if isinstance(event, TextPart))
        finally:
            self._turn = chat.last_turn

    def _raw(self, text: str, progress: PromptProgress) -> Iterator[TextPart]:
        opened, tokenizer = self._opened, self._opened.tokenizer
        add_bos = tokenizer.wants_bos and tokenizer.bos_token_id is not None
        prompt = tokenizer.encode(text, parse_special=self._options.parse_special, add_bos=add_bos)
        params = self._sampling.params
        ends = dict.fromkeys((*params.stop_token_ids, *tokenizer.eos_token_ids))
        turn = Turn(prompt_tokens=len(prompt), reused_tokens=0)
        started = time.perf_counter()
        events = generate(
            opened.model,
            opened.model.new_state(opened.context, opened.adapters.default),
            prompt,
            replace(params, stop_token_ids=tuple(ends)),
            decoder=tokenizer.stream(),
            on_prompt_progress=progress,
            speculation=Speculation(),
        )
        for event in events:
            self._turn = turn
            turn.count(event, is_reasoning=False, elapsed_s=time.perf_counter() - started)
            turn.finish_reason = event.finish_reason or "interrupted"
            if event.text:
                yield TextPart(kind="content", text=event.text)

    def _show(self, part: TextPart) -> None:
        if self._options.as_json or self._options.logprobs is not None:
            return
        if part.kind == "content":
            write(part.text, sys.stdout)
        elif sys.stderr.isatty():
            write(part.text, sys.stderr, "dim")

    def _finish(self, parts: Sequence[TextPart], turn: Turn, is_interrupted: bool) -> None:
        if self._options.as_json:
            print(json.dumps(report(self._opened, self._sampling, parts, turn), ensure_ascii=False, allow_nan=False))
        elif self._options.logprobs is not None:
            for event in turn.tokens:
                print(logprob_line(event, self._opened.tokenizer))
        elif not (parts and parts[-1].text.endswith("\n")):
            write("\n", sys.stdout)
        if turn.finish_reason == "context":
            note(f"the answer ends here because the context of {self._opened.context} tokens is full (--context)")
        elif turn.finish_reason == "length" and sys.stderr.isatty():
            note(f"the answer ends here because of --max-tokens {self._sampling.params.max_tokens}")
        elif is_interrupted and sys.stderr.isatty():
            note("interrupted")

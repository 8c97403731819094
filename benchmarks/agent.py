"""Time to first token through a tool-using, thinking conversation: from kept state, from nothing, and by llama-server.

    python benchmarks/agent.py MODEL [--turns 10] [--system-tokens 4000] [--recompute 2,6,10]
        [--llama-server PATH [--peer-turns 3]] [--memory-turns 50] [--window-turns 50 --window-context 1024]

Every turn is two requests: a question that is answered by thinking and a tool call, and the tool's result that is
answered in words. Replies are forced, so that random weights will do. A table, then one JSON line.

Memory, each in a conversation of its own: over turns that all stay in the context; and (with any chat template, say
--turns 0) over turns of which the oldest are dropped, so that the conversation is as long at the end as before.
"""

import argparse
import json
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest
from mambino.chat.session import Chat
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import SnapshotTree
from mambino.lm import Adapter, Float32Array, Int32Array, LanguageModel, SequenceState, Snapshot
from mambino.load import open_model, open_tokenizer

TOOL = {
    "name": "set_light",
    "description": "Switch a light on or off.",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string"}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
}
ROOMS = ("kitchen", "hall", "cellar", "attic", "study", "porch", "garage", "bath", "nursery", "pantry")
THOUGHT = "The user wants the light in the {room} changed. I have a tool for that, so I call it with on set to true."
RULE = "Rule {number}: when somebody asks for thing number {number}, look it up first and answer in one sentence. "
CACHE_NBYTES = 2**29  # what chat and serve take without --memory
FORCE = 1e4  # added to the logit of the forced id


class ForcedLM:
    """A LanguageModel that does all the work of another, and then says what it was told to."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.config = model.config
        self.script: list[int] = []  # ids yet to say

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> SequenceState:
        return self._model.new_state(max_tokens, adapter)

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        logits = self._model.extend(state, tokens)
        if tokens.tolist() == self.script[: len(tokens)]:  # one token, or several that a constraint forced as well
            del self.script[: len(tokens)]
        if self.script:
            logits[self.script[0]] += FORCE
        return logits

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        return np.stack([self.extend(state, one) for state, one in zip(states, tokens, strict=True)])

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        logits = self._model.verify(state, tokens)
        for index in range(min(len(tokens), len(self.script) - 1)):
            if tokens[index] != self.script[index]:
                break
            logits[index, self.script[index + 1]] += FORCE
        return logits

    def accept(self, state: SequenceState, count: int) -> None:
        self._model.accept(state, count)
        del self.script[:count]

    def score(self, tokens: Int32Array) -> Float32Array:
        return self._model.score(tokens)

    def pack(self, snapshot: Snapshot) -> bytes | bytearray:
        return self._model.pack(snapshot)

    def unpack(self, data: bytes | bytearray | memoryview) -> Snapshot:
        return self._model.unpack(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of the conversation, the reply to force, and the message that the reply amounts to."""

    turn: int
    messages: tuple[Message, ...]
    reply: str
    answer: Message


def conversation(turns: int, rules: int) -> Iterator[Step]:
    """Two steps a turn."""
    messages: tuple[Message, ...] = (
        Message(role="system", content="".join(RULE.format(number=number) for number in range(rules))),
    )
    for turn in range(1, turns + 1):
        room = ROOMS[turn % len(ROOMS)]
        messages += (Message(role="user", content=f"Please switch on the light in the {room}, it is dark there."),)
        thought = THOUGHT.format(room=room)
        call = ToolCall(id=f"call_{turn}", name="set_light", arguments={"room": room, "on": True})
        written = (
            "<tool_call>\n<function=set_light>\n"
            f"<parameter=room>\n{room}\n</parameter>\n<parameter=on>\ntrue\n</parameter>\n</function>\n</tool_call>"
        )
        calling = Message(role="assistant", content="", reasoning=thought, tool_calls=(call,))
        yield Step(turn=turn, messages=messages, reply=f"{thought}\n</think>\n{written}", answer=calling)
        told = Message(role="tool", content=f'{{"room": "{room}", "on": true}}', tool_call_id=call.id)
        messages += (calling, told)
        words = f"The light in the {room} is on now."
        said = Message(role="assistant", content=words, reasoning="Done.")
        yield Step(turn=turn, messages=messages, reply=f"Done.\n</think>\n{words}", answer=said)
        messages += (said,)


def request_of(step: Step) -> AnswerRequest:
    params = SamplingParams(temperature=0.0, max_tokens=200)
    return AnswerRequest(messages=step.messages, params=params, tools=(TOOL,), thinking=True)


class Ours:
    """Our side, in this process."""

    def __init__(self, path: str, context: int, threads: int) -> None:
        self.model = ForcedLM(open_model(path, threads=threads))
        self.tokenizer = open_tokenizer(path)
        self.context = context
        self.answerer = self.fresh(4 * CACHE_NBYTES)
        self.said: dict[tuple[str, int], Message] = {}  # by content and turn
        self.end = self.tokenizer.special_tokens["<|im_end|>"]

    def fresh(self, cache_nbytes: int) -> Answerer:
        return Answerer(self.model, self.tokenizer, context=self.context, cache=SnapshotTree(cache_nbytes))

    def answer(self, step: Step) -> dict[str, object]:
        """Seconds to the first token, tokens of the prompt and those that were new, seconds of idle work after."""
        step = replace(step, messages=self.as_said(step))
        self.model.script = [*self.tokenizer.encode(step.reply, parse_special=True), self.end]
        request = request_of(step)
        started = time.perf_counter()
        with self.answerer.answer(request) as answer:
            for _ in answer:
                pass
            turn, note = answer.turn, answer.note
        message = answer.message
        if message is None or message.content.strip() != step.answer.content:
            raise SystemExit(f"forced reply came out as {message}")
        idle = time.perf_counter()
        self.answerer.settle(request, message)
        self.said[step.answer.content, step.turn] = message
        return {
            "first_token_s": turn.prompt_s,
            "prompt_tokens": turn.prompt_tokens,
            "new_tokens": turn.prompt_tokens - turn.reused_tokens,
            "answer_s": idle - started,
            "idle_s": time.perf_counter() - idle,
            "note": note,
        }

    def as_said(self, step: Step) -> tuple[Message, ...]:
        """The messages of step, with the ids that our calls were given."""
        messages: list[Message] = []
        turn = 0
        for message in step.messages:
            turn += message.role == "user"
            if message.role == "assistant":
                messages.append(self.said.get((message.content, turn), message))
            elif message.role == "tool":
                messages.append(replace(message, tool_call_id=messages[-1].tool_calls[0].id))
            else:
                messages.append(message)
        return tuple(messages)

    def recompute(self, step: Step) -> float:
        """Seconds to the first token with nothing remembered."""
        request = replace(request_of(step), params=SamplingParams(temperature=0.0, max_tokens=1))
        with self.fresh(0).answer(request) as answer:
            for _ in answer:
                pass
            return answer.turn.prompt_s


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


class LlamaServer:
    """The peer, asked to complete the same rendered prompts, with its prompt cache on."""

    def __init__(self, program: str, path: str, context: int, threads: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        command = [program, "-m", path, "-c", str(context), "-t", str(threads), "-np", "1", "--port", str(self._port)]
        command += ["--checkpoint-min-step", "0"]  # a checkpoint wherever it can: its best setting for short turns
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(self._url("/health"), timeout=1) as reply:
                if reply.status == 200:
                    return
            time.sleep(0.5)
        raise SystemExit("llama-server did not start")

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def first_token_s(self, prompt: str, reply: str) -> tuple[float, int]:
        """Seconds to the first token of a completion that is then forced to be reply; prompt tokens it computed."""
        body = {"prompt": prompt, "cache_prompt": True, "stream": True, "temperature": 0, "n_predict": 400}
        body["grammar"] = f"root ::= {json.dumps(reply)}"
        request = urllib.request.Request(
            self._url("/completion"), json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        started = time.perf_counter()
        first, computed = 0.0, 0
        with urllib.request.urlopen(request, timeout=1800) as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                first = first or time.perf_counter() - started
                computed = json.loads(line[6:]).get("timings", {}).get("prompt_n", computed)
        return first, computed

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def running(server: LlamaServer) -> Iterator[LlamaServer]:
    try:
        yield server
    finally:
        server.close()


def rules_for(ours: Ours, tokens: int) -> int:
    """Rules that make a system prompt of about so many tokens."""
    return max(1, tokens // len(ours.tokenizer.encode(RULE.format(number=123))))


def measure_ours(ours: Ours, steps: Sequence[Step], recomputed: set[int]) -> list[dict[str, object]]:
    rows = []
    print(f"{'turn':>4} {'prompt':>7} {'new':>5} {'first token s':>14} {'from nothing':>13} {'idle s':>7}  note")
    for number, step in enumerate(steps):
        row = {"turn": step.turn, **ours.answer(step), "resident_kib": resident_kib()}
        if number % 2 == 0 and step.turn in recomputed:
            row["recomputed_s"] = ours.recompute(step)
        rows.append(row)
        shown = f"{row['recomputed_s']:>13.2f}" if "recomputed_s" in row else " " * 13
        print(
            f"{step.turn:>4} {row['prompt_tokens']:>7} {row['new_tokens']:>5} {row['first_token_s']:>14.2f} {shown} "
            f"{row['idle_s']:>7.2f}  {row['note']}",
            flush=True,
        )
    return rows


def held(ours: Ours, answerer: Answerer, tokens: int) -> dict[str, int]:
    """What the process holds with a conversation of so many tokens: in all, its keys and values, and snapshots."""
    nbytes = ours.model.config.state_nbytes
    return {
        "resident_kib": resident_kib(),
        "kv_kib": (nbytes(tokens) - nbytes(0)) // 1024,
        "snapshots_kib": answerer.cache.nbytes // 1024,
        "snapshots": len(answerer.cache),
        "tokens": tokens,
    }


def measure_memory(ours: Ours, turns: int, rules: int) -> dict[str, object]:
    """After 5 turns and at the end of a conversation that stays in the context."""
    record: dict[str, object] = {}
    for step in conversation(turns, rules):
        row = ours.answer(step)
        if step.turn in (5, turns):
            record[f"after_{step.turn}_turns"] = held(ours, ours.answerer, int(str(row["prompt_tokens"])))
    return record


def measure_window(ours: Ours, turns: int, context: int) -> dict[str, object]:
    """After every tenth part of a conversation that outgrows context again and again."""
    params = SamplingParams(temperature=0.0, max_tokens=100)
    cache = SnapshotTree(CACHE_NBYTES)
    chat = Chat(ours.model, ours.tokenizer, max_tokens=context, params=params, when_full="drop", cache=cache)
    record: dict[str, object] = {}
    for turn in range(1, turns + 1):
        room = ROOMS[turn % len(ROOMS)]
        ours.model.script = [*ours.tokenizer.encode(f"{THOUGHT.format(room=room)} " * 2), ours.end]
        chat.ask(f"Question {turn}: is it dark in the {room}?")
        chat.settle()
        if turn % max(1, turns // 10) == 0:
            record[f"after_{turn}_turns"] = {**held(ours, chat.answerer, chat.used_tokens), "dropped": chat.num_dropped}
    return record


def measure_peer(server: LlamaServer, ours: Ours, steps: Sequence[Step]) -> list[dict[str, float]]:
    rows = []
    for step in steps:
        first, computed = server.first_token_s(ours.answerer.render(request_of(step)), step.reply)
        rows.append({"turn": step.turn, "first_token_s": first, "computed_tokens": computed})
        print(
            f"llama-server, turn {step.turn}: first token after {first:.2f} s, computed {computed} tokens", flush=True
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    numbers = {"turns": 10, "system-tokens": 4000, "peer-turns": 3, "threads": 2}
    numbers |= {"memory-turns": 0, "window-turns": 0, "window-context": 1024}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--recompute", default="2,6,10", help="turns that are also computed from nothing")
    parser.add_argument("--llama-server", metavar="PATH")
    options = parser.parse_args()
    context = options.system_tokens + 400 * max(options.turns, options.memory_turns) + 1024
    ours = Ours(options.model, context, options.threads)
    rules = rules_for(ours, options.system_tokens)
    steps = list(conversation(options.turns, rules))
    recomputed = {int(turn) for turn in options.recompute.split(",") if turn}
    rows = measure_ours(ours, steps, recomputed)
    later = [row for row in rows if row["turn"] >= 2]
    record: dict[str, object] = {"model": options.model, "threads": options.threads, "ours": rows}
    ratios = [row["recomputed_s"] / row["first_token_s"] for row in later if "recomputed_s" in row]
    if ratios:
        record["times_sooner_than_recomputing"] = statistics.median(ratios)
        print(f"from turn 2: {statistics.median(ratios):.1f} times sooner than from nothing")
    if options.memory_turns:
        ours.answerer, ours.said = ours.fresh(CACHE_NBYTES), {}
        record["memory"] = measure_memory(ours, options.memory_turns, rules)
        print(record["memory"])
    if options.window_turns:
        ours.answerer, ours.said = ours.fresh(CACHE_NBYTES), {}
        record["window"] = measure_window(ours, options.window_turns, options.window_context)
        print(record["window"])
    if options.llama_server:
        with running(LlamaServer(options.llama_server, options.model, context, options.threads)) as server:
            peer = measure_peer(server, ours, steps[: 2 * options.peer_turns])
        record["llama_server"] = peer
        pairs = zip(rows, peer, strict=False)
        against = [row["first_token_s"] and his["first_token_s"] / row["first_token_s"] for row, his in pairs][2:]
        record["times_sooner_than_llama_server"] = statistics.median(against)
        print(f"from turn 2: {statistics.median(against):.1f} times sooner than llama-server")
    print(json.dumps(record))


if __name__ == "__main__":
    main()

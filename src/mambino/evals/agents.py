"""Agents that play a world by asking a model: zero-shot, with reflection, with planning, with both. Start at Agent.

Each module is one chat call without history, as in Orak; what is remembered lies in the agent's notes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mambino.chat.messages import Message
from mambino.chat.request import OutputFormat
from mambino.evals.task import Player, Reply
from mambino.worlds.world import Observation, World

MODULES: Mapping[str, tuple[str, ...]] = {
    "zeroshot": ("act",),
    "reflection": ("reflect", "act"),
    "planning": ("plan", "act"),
    "reflection_planning": ("reflect", "plan", "act"),
}
MAX_TOKENS = 1024  # of each call
_HEADER = re.compile(r"^#{1,4} *([A-Za-z_ ]{1,40}):? *$", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """What stands under each `### Header` line, by its name in lower case."""
    parts = _HEADER.split(text)
    return {name.strip().lower(): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@dataclass(slots=True)
class Agent:
    """Plays by asking player. strict constrains the answer to the world's grammar, so that every action can be read."""

    world: World
    player: Player
    modules: tuple[str, ...]
    strict: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    _before: Observation | None = None
    _action: str = ""

    def choose(self, seen: Observation) -> tuple[str, Sequence[Reply]]:
        """The next action for what is seen, and the replies it came from. Mutates self."""
        replies = []
        for module in self.modules:
            if module == "reflect" and self._before is None:
                continue
            reply = self._ask(module, seen)
            replies.append(reply)
            found = sections(reply.message.content)
            if module == "reflect":
                self.notes["critique"] = found.get("critique", reply.message.content)[:1000]
            elif module == "plan":
                self.notes["subtask"] = found.get("subtask", reply.message.content)[:1000]
            else:
                self._action = found.get("actions", reply.message.content).strip()[:1000]
        self._before = seen
        return self._action, replies

    def _ask(self, module: str, seen: Observation) -> Reply:
        system = Message(role="system", content=f"You play a game.\n{self.world.rules}")
        user = Message(role="user", content=self._prompt(module, seen))
        is_constrained = self.strict and module == "act"
        output = OutputFormat(kind="regex", source=self.world.action_regex) if is_constrained else None
        limit = min(MAX_TOKENS, self.player.params.max_tokens or MAX_TOKENS)
        return self.player.ask((system, user), output=output, max_tokens=limit)

    def _prompt(self, module: str, seen: Observation) -> str:
        state = f"Current state:\n{seen.text}"
        if module == "reflect":
            before = self._before.text if self._before else ""
            return (
                f"Previous state:\n{before}\nYour action: {self._action}\nWhat happened: {seen.note}\n{state}\n\n"
                "Was the action good, and what should be done differently? Answer with a line `### Critique` and then "
                "one or two sentences."
            )
        notes = "".join(f"{name.title()}: {text}\n" for name, text in self.notes.items())
        if module == "plan":
            return f"{notes}{state}\n\nWhat should be reached next? Answer with `### Subtask` and then one sentence."
        listed = "\n".join(seen.actions[:20])
        head = f"Last action: {self._action} ({seen.note})\n" if seen.note else ""
        form = (
            "one action only, exactly as listed" if self.strict else "`### Actions` and then the action on its own line"
        )
        return f"{head}{notes}{state}\n\nPossible actions now, such as:\n{listed}\n\nAnswer with {form}."


def new_agent(kind: str, world: World, player: Player, *, strict: bool = False) -> Agent:
    """kind is a key of MODULES."""
    return Agent(world=world, player=player, modules=MODULES[kind], strict=strict)

"""The text of an answer, as it comes, split into reasoning and content.

Knows text only, no tokens and no model. Start at ThinkingSplitter. (Tool calls will be a third kind.)
"""

from typing import Literal

from mambino.chat.events import TextPart

OPEN, CLOSE = "<think>", "</think>"


class ThinkingSplitter:
    """Feeds of text in, parts out; a tag that may still be unfinished is held back, and newlines around tags drop out.

    Reasoning begins in the prompt (starts_inside) or with an opening tag before anything else, and ends at the first
    closing tag. Later tags are content: they are what the model wrote.
    """

    def __init__(self, *, starts_inside: bool) -> None:
        self._held = ""
        self._phase: Literal["start", "reasoning", "after", "content"] = "reasoning" if starts_inside else "start"
        self._has_reasoned = False

    @property
    def is_reasoning(self) -> bool:
        return self._phase == "reasoning"

    def feed(self, text: str) -> list[TextPart]:
        """The parts that text makes certain. Mutates self."""
        self._held += text
        parts: list[TextPart] = []
        while self._step(parts):
            pass
        return parts

    def finish(self) -> list[TextPart]:
        """What was held back, at the end of the answer. Mutates self."""
        held, self._held = self._held, ""
        if self._phase == "reasoning":
            held = held.strip("\n") if not self._has_reasoned else held.rstrip("\n")
            return [TextPart(kind="reasoning", text=held)] if held else []
        return [TextPart(kind="content", text=held)] if held and self._phase != "after" else []

    def _step(self, parts: list[TextPart]) -> bool:
        """Move as far as one phase goes; whether another may follow. Mutates self and parts."""
        match self._phase:
            case "start":
                return self._look_for_opening()
            case "reasoning":
                return self._reason(parts)
            case "after":
                self._held = self._held.lstrip("\n")
                if not self._held:
                    return False
                self._phase = "content"
                return True
            case "content":
                if self._held:
                    parts.append(TextPart(kind="content", text=self._held))
                    self._held = ""
                return False

    def _look_for_opening(self) -> bool:
        begun = self._held.lstrip()
        if begun.startswith(OPEN):
            self._held, self._phase = begun.removeprefix(OPEN), "reasoning"
            return True
        if OPEN.startswith(begun):
            return False
        self._phase = "content"
        return True

    def _reason(self, parts: list[TextPart]) -> bool:
        if not self._has_reasoned:
            self._held = self._held.lstrip("\n")
        before, tag, rest = self._held.partition(CLOSE)
        if tag:
            shown, self._held, self._phase = before.rstrip("\n"), rest, "after"
        else:
            keep = _possible_tag(before)
            body = before[: len(before) - keep]
            shown = body.rstrip("\n")
            self._held = before[len(shown) :]
        if shown:
            parts.append(TextPart(kind="reasoning", text=shown))
            self._has_reasoned = True
        return bool(tag)


def _possible_tag(text: str) -> int:
    """Length of the longest ending of text that may be the beginning of a closing tag."""
    longest = min(len(text), len(CLOSE) - 1)
    return next((length for length in range(longest, 0, -1) if CLOSE.startswith(text[-length:])), 0)


def opens_thinking(prompt: str) -> bool:
    """Whether the prompt leaves the model inside reasoning."""
    return prompt.rstrip().endswith(OPEN)

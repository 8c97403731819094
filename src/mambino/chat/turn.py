"""How one answer went: its tokens, why it ended, and what it cost. Only numbers; answering.py fills them in."""

from dataclasses import dataclass, field
from typing import Literal

from mambino.generation.generate import TokenEvent

FinishReason = Literal["stop", "length", "context", "tool_calls", "interrupted"]


@dataclass(slots=True, kw_only=True)
class Turn:
    """Complete once the answer has ended.

    prompt_tokens   the whole prompt; reused_tokens is the part of it that was in the state already
    tokens          every TokenEvent, a stop token included; reasoning_tokens counts those before the answer proper
    prompt_s        time to the first token; decode_s is the time of the others, reasoning_s its reasoning part
    """

    prompt_tokens: int
    reused_tokens: int
    finish_reason: FinishReason = "interrupted"
    tokens: list[TokenEvent] = field(default_factory=list)
    reasoning_tokens: int = 0
    prompt_s: float = 0.0
    reasoning_s: float = 0.0
    decode_s: float = 0.0

    def count(self, event: TokenEvent, *, is_reasoning: bool, elapsed_s: float) -> None:
        """Take in the next token, elapsed_s after the turn began. Mutates self."""
        if not self.tokens:
            self.prompt_s = elapsed_s
        self.tokens.append(event)
        self.decode_s = elapsed_s - self.prompt_s
        if is_reasoning:
            self.reasoning_tokens += 1
            self.reasoning_s = self.decode_s

    @property
    def prompt_tokens_per_s(self) -> float:
        """Of the tokens that were not reused."""
        return (self.prompt_tokens - self.reused_tokens) / self.prompt_s if self.prompt_s else 0.0

    @property
    def decode_tokens_per_s(self) -> float:
        """Of the tokens after the first, which the prompt paid for."""
        return (len(self.tokens) - 1) / self.decode_s if self.decode_s else 0.0

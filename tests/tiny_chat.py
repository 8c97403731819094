"""A tokenizer of 300-odd ids, a ChatML template that drops old thinking, and a model that says what a test scripts.

Start at tiny_tokenizer and ReplyLM.
"""

from collections.abc import Sequence

import numpy as np

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.lm import Float32Array
from mambino.tokenizer.byte_letters import BYTE_TO_LETTER
from mambino.tokenizer.spec import AddedToken, BpeSpec
from mambino.tokenizer.tokenizer import Tokenizer
from tiny_models import tiny_hybrid_config

CONTROL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
MERGES = (("t", "h"), ("th", "e"), ("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"))

TEMPLATE = """{%- for m in messages -%}
<|im_start|>{{ m.role + '\n' }}
{%- if m.role == 'assistant' and m.reasoning_content and loop.last -%}
<think>{{ '\n' + m.reasoning_content + '\n' }}</think>{{ '\n' }}
{%- endif -%}
{{ m.content }}<|im_end|>{{ '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant{{ '\n' }}{% if enable_thinking %}<think>{{ '\n' }}{% endif %}
{%- endif -%}"""


def tiny_tokenizer(template: str | None = TEMPLATE, *, control: Sequence[str] = CONTROL) -> Tokenizer:
    """Bytes, a few merges, and ChatML's control tokens; ids: bytes by letter, merges, then control."""
    letters = [BYTE_TO_LETTER[byte] for byte in range(256)]
    tokens = [*letters, *(left + right for left, right in MERGES)]
    added = tuple(AddedToken(text=text, id=len(tokens) + index, special=True) for index, text in enumerate(control))
    spec = BpeSpec(
        tokens=tokens,
        ids=list(range(len(tokens))),
        merges=list(MERGES),
        added=added,
        normalizer=None,
        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    )
    return Tokenizer(spec, eos_token_ids=[added[1].id], chat_template=template)


def tiny_chat_config(tokenizer: Tokenizer) -> HybridConfig:
    base = tiny_hybrid_config()
    return HybridConfig(
        architecture=base.architecture,
        layers=base.layers,
        hidden_size=base.hidden_size,
        vocab_size=tokenizer.vocab_size,
        norm_eps=base.norm_eps,
        tie_embeddings=False,
        max_context=4096,
        eos_token_ids=tokenizer.eos_token_ids,
    )


class ReplyLM(FakeLM):
    """Gives replies in order, one after each generation prompt, each ended by <|im_end|>; then repeats the last.

    A reply is text (spelled with control tokens), or ids. last_absorbed is what the last state held at its last step.
    """

    def __init__(self, tokenizer: Tokenizer, replies: Sequence[str | Sequence[int]]) -> None:
        super().__init__(tiny_chat_config(tokenizer), self._scripted)
        end = tokenizer.eos_token_ids[0]
        self._replies = [
            [*(tokenizer.encode(reply, parse_special=True) if isinstance(reply, str) else reply), end]
            for reply in replies
        ]
        self._assistant = tuple(tokenizer.encode("<|im_start|>assistant\n", parse_special=True))
        self._think = tuple(tokenizer.encode("<think>\n", parse_special=True))
        self.answered = 0
        self.last_absorbed: tuple[int, ...] = ()
        self._special = frozenset(tokenizer.special_tokens.values())
        self._answering: list[int] = self._replies[0]

    @property
    def special_seen(self) -> int:
        """Control tokens in last_absorbed."""
        return sum(token in self._special for token in self.last_absorbed)

    def _scripted(self, absorbed: tuple[int, ...], vocab_size: int) -> Float32Array:
        self.last_absorbed = absorbed
        logits = np.zeros(vocab_size, dtype=np.float32)
        start = _last_index(absorbed, self._assistant)
        after = absorbed[start:]
        if after[: len(self._think)] == self._think:
            after = after[len(self._think) :]
        if not after:
            self._answering = self._replies[min(self.answered, len(self._replies) - 1)]
            self.answered += 1
        logits[self._answering[min(len(after), len(self._answering) - 1)]] = 20.0
        return logits


def _last_index(ids: tuple[int, ...], wanted: tuple[int, ...]) -> int:
    """Where the last occurrence of wanted ends; 0 without one."""
    for end in range(len(ids), len(wanted) - 1, -1):
        if ids[end - len(wanted) : end] == wanted:
            return end
    return 0

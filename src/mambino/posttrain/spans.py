"""What of a conversation is learnt: the template's own text, cut where each answer begins and ends.

An answer is what follows the prompt that a server would have rendered for it, up to its end token. Start at sequences.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mambino.chat.prompt import PromptEncoder
from mambino.errors import TemplateError
from mambino.posttrain.rows import ChatRow
from mambino.train.data import Document


def sequences(row: ChatRow, prompt: PromptEncoder) -> list[Document]:
    """The row as documents in which exactly the answers are counted, each with its end token.

    A document goes on from answer to answer as long as every prompt begins with the text before it. Where the template
    takes something back (old reasoning, at a new question) a new document begins, and each answer is learnt once: in
    front of the very text that it will see.

    Raises     TemplateError if the template refuses the messages, leaves out calls or reasoning, or writes an answer
               otherwise than it prompts for it
    """
    documents, current = list[Document](), _Sequence(prompt)
    for index, message in enumerate(row.messages):
        if message.role != "assistant":
            continue
        asked = _prompt_before(row, index, prompt)
        answered = prompt.render(row.messages[: index + 1], tools=row.tools, add_generation_prompt=False)
        if not answered.startswith(asked):
            raise TemplateError(
                f"[template] messages[{index}]: the chat template writes this answer differently from its own prompt "
                f"for it: {asked[-40:]!r} does not begin {answered[-120:]!r}"
            )
        _require_written(row, index, answered, prompt)
        if not asked.startswith(current.text):
            documents += current.document()
            current = _Sequence(prompt)
        end = prompt.last_control(answered)
        current.add(asked, is_counted=False)
        current.add(answered[: end if end > len(asked) else len(answered)], is_counted=row.is_trained[index])
    return [*documents, *current.document()]


def _require_written(row: ChatRow, index: int, answered: str, prompt: PromptEncoder) -> None:
    """The template must show all of message index: a model cannot learn what it never sees."""
    message = row.messages[index]
    for what, without in (
        ("tool calls", replace(message, tool_calls=())),
        ("reasoning", replace(message, reasoning=None)),
    ):
        if without != message:
            messages = (*row.messages[:index], without)
            if prompt.render(messages, tools=row.tools, add_generation_prompt=False) == answered:
                raise TemplateError(
                    f"[template] messages[{index}]: this model's chat template leaves out {what}; take them out of the "
                    "row, or train a model that was taught them"
                )


def _prompt_before(row: ChatRow, index: int, prompt: PromptEncoder) -> str:
    """The prompt for message index: with the thinking switch, where there is one, as the message has it."""
    has_switch = "enable_thinking" in prompt.template.source
    return prompt.render(
        row.messages[:index],
        tools=row.tools,
        enable_thinking=bool(row.messages[index].reasoning) if has_switch else None,
    )


class _Sequence:
    """One document as it grows. Prompts and answers are encoded apart, as in use: an answer's tokens begin afresh."""

    def __init__(self, prompt: PromptEncoder) -> None:
        self._prompt = prompt
        self._ids = list[int]()
        self._counted = list[bool]()
        self.text = ""

    def add(self, whole: str, *, is_counted: bool) -> None:
        """Go on to whole, which begins with text. Mutates self."""
        ids = self._prompt.encode(whole[len(self.text) :])
        self._ids += ids
        self._counted += [is_counted] * len(ids)
        self.text = whole

    def document(self) -> Sequence[Document]:
        """Nothing if there is nothing to learn in it."""
        if not any(self._counted):
            return ()
        return (Document(tokens=np.array(self._ids, np.int32), counted=np.array(self._counted, np.bool_)),)

"""What steers one answer: its thinking, then its grammar. Start at constraint_for."""

from mambino.chat.answer_grammar import answer_grammar, output_grammar
from mambino.chat.request import AnswerRequest, OutputFormat
from mambino.chat.stream import CLOSE, opens_thinking
from mambino.chat.thinking import ThinkingControl, ThinkingTags
from mambino.chat.wire.format import WireFormat
from mambino.generation.constraint import Constraint
from mambino.generation.lark import Grammar, quoted
from mambino.tokenizer.tokenizer import Tokenizer


def constraint_for(
    request: AnswerRequest,
    *,
    wire: WireFormat | None,
    tags: ThinkingTags | None,
    tokenizer: Tokenizer,
    vocab_size: int,
    prompt_text: str,
) -> ThinkingControl:
    """A fresh constraint for the answer to request, whose rendered prompt is prompt_text.

    wire and tags are the template's (wire_format_of, thinking_tags_of); vocab_size is the model's.

    Raises     InputError for an output form, a tool or a tool choice that cannot be met
    """

    def spelling(tag: str) -> str:
        token = tokenizer.special_tokens.get(tag)
        return quoted(tag) if token is None else f"<[{token}]>"

    grammar = answer_grammar(request, wire, spelling)
    is_off = request.thinking is False or (request.thinking is not True and request.thinking == 0)
    is_budget = isinstance(request.thinking, int) and not isinstance(request.thinking, bool)
    starts_inside = opens_thinking(prompt_text)
    return ThinkingControl(
        None if grammar is None else _compiled(grammar, tokenizer, vocab_size),
        tokenizer,
        tags,
        starts_inside=starts_inside,
        may_open=tags is not None and not is_off and not prompt_text.rstrip().endswith(CLOSE),
        is_forbidden=is_off and tags is not None,
        budget=request.thinking if is_budget else None,
        must_answer=grammar is not None and (request.output is not None or request.tool_choice != "auto"),
        call_tags=None if wire is None or not request.tools else (wire.openings[0], wire.closing),
    )


def constraint_for_output(output: OutputFormat, *, tokenizer: Tokenizer, vocab_size: int) -> Constraint:
    """A fresh constraint for bare text in this form. Raises InputError as constraint_for does."""
    return _compiled(output_grammar(output), tokenizer, vocab_size)


def _compiled(grammar: Grammar, tokenizer: Tokenizer, vocab_size: int) -> Constraint:
    from mambino.generation.grammar import compiler_of  # llguidance: only for those who use it

    return compiler_of(tokenizer, vocab_size).constraint(grammar)

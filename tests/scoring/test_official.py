"""Our loop over the instruction checkers on generated answers, against the one of the package that carries them and,
with white space around the answers, against the official one."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice

import pytest

from mambino.scoring import instructions
from mambino.scoring.instructions import judge_instruction, known_instructions
from scoring.answer_corpus import ANSWERS, ARGUMENTS, PROMPT, Arguments, following, mutated, spaced

pytestmark = pytest.mark.skipif(
    find_spec("if_verifiable") is None,
    reason="if-verifiable is not installed (extra evals): no official verdicts",
)

EVERY = 7  # of all pairs, in the default tier; no divisor of how many answers a case has
Pair = tuple[str, Arguments, str]  # instruction, its arguments, an answer
NEEDS_DATA = "words:start_verb"  # nltk's tagger; no package brings it


def _official(instruction: str, given: Arguments, answer: str) -> tuple[bool, bool] | None:
    """The package's verdicts; None where it raises. An empty answer, of which it says nothing, follows nothing."""
    from if_verifiable.common import evaluate_instructions

    try:
        results, _ = evaluate_instructions(answer, [instruction], [given], PROMPT, instructions._checkers())
    except Exception:
        return None
    return (results[0].strict_pass, results[0].loose_pass) if results else (False, False)


def _disagreements(pairs: Iterator[Pair]) -> tuple[int, list[object]]:
    compared, differing = 0, list[object]()
    for instruction, given, text in pairs:
        answer = text.strip()  # the package removes space and thinking around an answer; its sources do not
        official = _official(instruction, given, answer)
        if official is None or "<think>" in answer:
            continue
        ours = judge_instruction(answer, PROMPT, instruction, given)
        compared += 1
        if (ours.strict, ours.loose) != official:
            differing.append((instruction, given, answer[:80], official, ours))
    return compared, differing


def _generic() -> Iterator[Pair]:
    for instruction, given in ARGUMENTS:
        if instruction != NEEDS_DATA:
            yield from ((instruction, given, answer) for answer in ANSWERS)


def _made() -> Iterator[Pair]:
    for instruction, given, answer in following():
        yield from ((instruction, given, dressed) for dressed in mutated(answer))


def test_every_type_has_arguments_and_an_answer_that_follows_it() -> None:
    assert {instruction for instruction, _ in ARGUMENTS} == set(known_instructions())
    assert {instruction for instruction, _, _ in following()} == set(known_instructions()) - {NEEDS_DATA}
    for instruction, given, answer in following():
        assert judge_instruction(answer, PROMPT, instruction, given).strict is True, (instruction, answer)


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("pairs", "least"), [(_made, 1400), (_generic, 7000)])
def test_verdicts_are_those_of_the_package(pairs: Callable[[], Iterator[Pair]], least: int, every: int) -> None:
    compared, differing = _disagreements(islice(pairs(), 0, None, every))
    assert compared > least // every
    assert differing == []


def _as_published(instruction: str, given: Arguments, answer: str) -> tuple[bool, bool] | None:
    """By the loop of google-research/instruction_following_eval and allenai/IFBench (evaluation_lib.py): strictly the
    answer as it is, loosely without first or last line too, and only those variants trimmed. None where one raises.
    """

    def follows(variants: list[str]) -> bool:
        checker = instructions._checkers()[instruction](instruction)
        checker.build_description(**given)
        if "prompt" in (checker.get_instruction_args() or ()):
            checker.build_description(prompt=PROMPT)
        return any(variant.strip() and checker.check_following(variant) for variant in variants)

    lines = answer.split("\n")
    shorter = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    try:
        return follows([answer]), follows([one for text in (answer, *shorter) for one in (text, text.replace("*", ""))])
    except Exception:
        return None


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.slow)])
def test_white_space_around_an_answer_is_part_of_it_as_in_the_published_loop(every: int) -> None:
    compared, differing, mattered = 0, list[object](), set[str]()
    pairs = [*following(), *((*case, answer) for case in ARGUMENTS if case[0] != NEEDS_DATA for answer in ANSWERS)]
    spaced_pairs = ((*case, text) for *case, answer in pairs for text in spaced(answer))
    for instruction, given, text in islice(spaced_pairs, 0, None, every * 5):
        official = _as_published(instruction, given, text)
        if official is None:
            continue
        ours, trimmed = (judge_instruction(answer, PROMPT, instruction, given) for answer in (text, text.strip()))
        compared += 1
        if (ours.strict, ours.loose) != official:
            differing.append((instruction, given, text[:80], official, ours))
        if (ours.strict, ours.loose) != (trimmed.strict, trimmed.loose):
            mattered.add(instruction)
    assert differing == []
    assert compared > 10_000 // every
    assert {"format:no_whitespace", "format:options", "format:line_indent"} <= mattered

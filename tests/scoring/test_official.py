"""Our loop over the instruction checkers against the one of the package that carries them, on generated answers."""

from collections.abc import Iterator

import pytest

pytest.importorskip("if_verifiable", reason="if-verifiable is not installed (extra evals): no official verdicts")

from if_verifiable.common import evaluate_instructions

from mambino.scoring import instructions
from mambino.scoring.instructions import judge_instruction, known_instructions
from scoring.answer_corpus import ANSWERS, ARGUMENTS, PROMPT, Arguments, following, mutated

EVERY = 6  # of the answers made for no instruction, in the default tier
NEEDS_DATA = "words:start_verb"  # nltk's tagger; no package brings it


def _official(instruction: str, given: Arguments, answer: str) -> tuple[bool, bool] | None:
    """The package's verdicts; None where it raises. An empty answer, of which it says nothing, follows nothing."""
    try:
        results, _ = evaluate_instructions(answer, [instruction], [given], PROMPT, instructions._checkers())
    except Exception:
        return None
    return (results[0].strict_pass, results[0].loose_pass) if results else (False, False)


def _disagreements(pairs: Iterator[tuple[str, Arguments, str]]) -> tuple[int, list[object]]:
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


def _generic(every: int) -> Iterator[tuple[str, Arguments, str]]:
    for place, (instruction, given) in enumerate(ARGUMENTS):
        if instruction != NEEDS_DATA:
            yield from ((instruction, given, answer) for answer in ANSWERS[place % every :: every])


def _made() -> Iterator[tuple[str, Arguments, str]]:
    for instruction, given, answer in following():
        yield from ((instruction, given, dressed) for dressed in mutated(answer))


def test_every_type_has_arguments_and_an_answer_that_follows_it() -> None:
    assert {instruction for instruction, _ in ARGUMENTS} == set(known_instructions())
    assert {instruction for instruction, _, _ in following()} == set(known_instructions()) - {NEEDS_DATA}
    for instruction, given, answer in following():
        assert judge_instruction(answer, PROMPT, instruction, given).strict is True, (instruction, answer)


def test_verdicts_are_those_of_the_package() -> None:
    compared, differing = _disagreements(_made())
    assert compared > 1400
    assert differing == []


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.slow)])
def test_answers_made_for_no_instruction_get_the_package_s_verdicts(every: int) -> None:
    compared, differing = _disagreements(_generic(every))
    assert compared > 7000 // every
    assert differing == []

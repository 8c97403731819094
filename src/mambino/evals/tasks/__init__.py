"""The suites, one file each. SUITES is the list; load_task finds one by name. Start at SUITES."""

from importlib import import_module

from mambino.errors import FormatError, InputError, MambinoError
from mambino.evals.data import SuiteOptions
from mambino.evals.task import Task

# suite -> what it measures; mambino.evals.tasks.NAME holds load(options, part), part being what follows a colon.
SUITES = {
    "ifeval": "verifiable instructions, 25 types",
    "ifbench": "verifiable instructions, 58 harder types",
    "bfcl": "function calls, BFCL v4 single-turn; bfcl:simple_python and so on for one category",
    "bfcl_multi_turn": "function calls over several turns, BFCL v4; bfcl_multi_turn:base and so on for one category",
    "halueval": "recognising hallucinated answers; halueval:general for the general set",
    "selfaware": "abstaining from unanswerable questions",
    "abstention": "short facts, where not knowing beats being wrong (NeMo-Gym rows)",
    "truthfulqa": "truthful answers, by log-probabilities (MC1, MC2)",
    "ruler": "long context, 13 generated tasks; ruler:vt and so on for one",
    "gsm8k": "grade-school mathematics",
    "mmlu": "knowledge, four choices, by log-probabilities",
    "blimp": "grammar, minimal pairs, by log-probabilities",
    "games": "five small worlds; games:game2048 and so on for one",
    "home": "tools over several turns in a simulated home, judged by its state",
    "persona": "staying in a role, keeping its facts, remembering the guest",
    "structured": "JSON, YAML, XML, TOML and CSV of a schema (NeMo-Gym rows)",
    "actions": "the next tool call, by comparison of arguments (NeMo-Gym rows)",
    "calendar": "scheduling under constraints (NeMo-Gym rows)",
    "efficiency": "memory, first-token time and decode speed at low and high lengths",
}


def load_task(name: str, options: SuiteOptions) -> Task:
    """The suite called NAME or NAME:PART. Raises InputError for another name, FormatError for odd rows."""
    suite, _, part = name.partition(":")
    if suite not in SUITES:
        raise InputError(f"[eval] there is no suite {name!r}; there are {', '.join(SUITES)}")
    module = import_module(f"mambino.evals.tasks.{suite}")
    try:
        task = module.load(options, part)
    except MambinoError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(f"[eval] {suite}: a row of its data is not as this suite expects ({error!r})") from error
    assert isinstance(task, Task)
    return task


def only_part(suite: str, part: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """All parts for "", else the one named. Raises InputError for an unknown one."""
    if part and part not in known:
        raise InputError(f"[eval] {suite} has no part {part!r}; it has {', '.join(known) or 'none'}")
    return (part,) if part else known

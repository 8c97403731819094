"""BLiMP: of a minimal pair, is the grammatical sentence the likelier one? Start at load."""

from collections.abc import Iterator

from mambino.evals.data import Source, SuiteOptions
from mambino.evals.ranking import best_option, rank_options
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict
from mambino.evals.tasks import only_part

SOURCE = Source(names=("blimp_data.tar.xz", "blimp.jsonl"))


def load(options: SuiteOptions, part: str) -> Task:
    """limit counts pairs of each phenomenon."""
    only_part("blimp", part, ())
    return Task(name="blimp", samples=tuple(_samples(options)), score=score, metrics=("accuracy",), attempt=attempt)


def _samples(options: SuiteOptions) -> Iterator[Sample]:
    counts: dict[str, int] = {}
    for row in options.rows("blimp", SOURCE):
        name = str(row["UID"])
        counts[name] = counts.get(name, 0) + 1
        if options.limit is None or counts[name] <= options.limit:
            data = {"good": row["sentence_good"], "bad": row["sentence_bad"]}
            yield Sample(id=f"{name}-{row['pairID']}", data=data | {"field": str(row["field"])})


def attempt(sample: Sample, player: Player) -> AnswerJson:
    return rank_options(player, "", [str(sample.data["good"]), str(sample.data["bad"])])


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    share = Share(part=float(best_option(answer) == 0))
    return Verdict(shares={"accuracy": share, str(sample.data["field"]).replace("/", "_"): share})

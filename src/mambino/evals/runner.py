"""Put a player before a task's samples, or score answers that are already there; keep everything, stop for nothing
but a dead endpoint or a full disk.

Start at run.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mambino.errors import FetchError, MambinoError
from mambino.evals.statistics import Summary, summarize
from mambino.evals.task import UNFINISHED, AnswerJson, Player, Sample, Task, Verdict
from mambino.evals.transcripts import Header, Record, Transcripts

MAX_DEAD = 3  # requests in a row that reach nobody, before a run ends
Progress = Callable[[int, int], None]  # (samples done, samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Verdicts of one suite by sample id, in the suite's order, and the metrics over them.

    unanswered     samples of the suite that ready-made answers leave out; they are in no metric
    """

    suite: str
    model: str
    version: str
    records: Mapping[str, Record]
    metrics: Mapping[str, Summary]
    unanswered: int = 0

    @property
    def unscored(self) -> Mapping[str, int]:
        """How often each reason left something without a verdict."""
        counts: dict[str, int] = {}
        for record in self.records.values():
            for reason in record.verdict.unscored:
                counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def run(
    task: Task,
    player: Player,
    folder: Path,
    *,
    settings: Mapping[str, object],
    on_progress: Progress = lambda done, total: None,
) -> Results:
    """Attempt every sample that folder has no answer of, and score it. A second call with the same settings goes on.

    Raises     FetchError if MAX_DEAD requests in a row reach nobody; InputError if folder cannot be written, or holds
               answers of another model or with other settings
    """
    header = Header(suite=task.name, model=player.responder.name, settings=settings, version=task.version)
    dead = 0
    with Transcripts(folder / f"{file_name(task.name)}.jsonl", header) as transcripts:
        for done, sample in enumerate(task.samples):
            on_progress(done, len(task.samples))
            kept = transcripts.records.get(sample.id)
            if kept is not None and kept.answer is not None:
                if kept.verdict.unscored:  # a verifier may have learnt what it lacked
                    again = judge(task, sample, kept.answer, scores_unfinished=player.scores_unfinished)
                    transcripts.add(Record(id=sample.id, answer=kept.answer, verdict=again))
                continue
            try:
                answer: AnswerJson | None = task.attempt(sample, player)
                reason, dead = "", 0
            except FetchError as error:
                answer, reason, dead = None, str(error), dead + 1
                if dead == min(MAX_DEAD, len(task.samples)):
                    raise FetchError(
                        f"{error}; {done + 1 - dead} of {len(task.samples)} samples are done, and the same command "
                        "goes on from there"
                    ) from error
            except MambinoError as error:
                answer, reason = None, str(error)
            verdict = Verdict(unscored=(reason,))
            if answer is not None:
                verdict = judge(task, sample, answer, scores_unfinished=player.scores_unfinished)
            transcripts.add(Record(id=sample.id, answer=answer, verdict=verdict))
        on_progress(len(task.samples), len(task.samples))
        return results_of(task, player.responder.name, transcripts.records)


def file_name(suite: str) -> str:
    return suite.replace(":", "-").replace("/", "-")


def judge(task: Task, sample: Sample, answer: AnswerJson, *, scores_unfinished: bool) -> Verdict:
    """The task's verdict; none for an answer that was cut off (unless those are scored) or a scorer that raises."""
    finish = answer.get("finish_reason")
    if finish in UNFINISHED and not scores_unfinished:
        return Verdict(unscored=(f"the answer did not come to an end ({finish})",))
    try:
        return task.score(sample, answer)
    except MambinoError as error:
        return Verdict(unscored=(str(error),))
    except Exception as error:  # verifiers are code of many hands on a model's text; one must not end the run
        return Verdict(unscored=(f"the verifier raised {error!r}",))


def results_of(task: Task, model: str, records: Mapping[str, Record]) -> Results:
    """Records in the order of the samples, summed up."""
    ordered = {sample.id: records[sample.id] for sample in task.samples if sample.id in records}
    return Results(
        suite=task.name,
        model=model,
        version=task.version,
        records=ordered,
        metrics=summaries(task.metrics, ordered.values()),
    )


def summaries(metrics: Iterable[str], records: Iterable[Record]) -> dict[str, Summary]:
    """Metrics that at least one record contributes to; metrics first, then those that only records name."""
    verdicts = [record.verdict for record in records]
    names = dict.fromkeys((*metrics, *(name for verdict in verdicts for name in verdict.shares)))
    found = {name: summarize([v.shares[name] for v in verdicts if name in v.shares]) for name in names}
    return {name: summary for name, summary in found.items() if summary is not None}

"""IFBench: IFEval's form with 58 harder instruction types. Start at load."""

from mambino.evals.data import Source, SuiteOptions
from mambino.evals.task import Task
from mambino.evals.tasks import only_part
from mambino.evals.tasks.ifeval import instruction_task

SOURCE = Source(
    names=("IFBench_test.jsonl", "ifbench.jsonl", "input_data.jsonl"),
    repo="allenai/IFBench_test",
    file="data/train-00000-of-00001.parquet",
)


def load(options: SuiteOptions, part: str) -> Task:
    only_part("ifbench", part, ())
    return instruction_task("ifbench", options, SOURCE)

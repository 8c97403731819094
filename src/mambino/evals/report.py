"""Results as text, JSON, Markdown, and one HTML file with a plot. Start at write_report.

matplotlib (extra `evals`) draws the plot; without it the HTML has tables only.
"""

import html
import importlib.util
import io
import json
from collections.abc import Sequence
from pathlib import Path

from mambino.errors import InputError
from mambino.evals.runner import Results
from mambino.evals.statistics import Summary

_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;"
    "text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap}"
)
_MOST_EXAMPLES = 20
_MOST_TEXT = 2000  # characters of one answer in the report


def write_report(folder: Path, results: Sequence[Results]) -> tuple[Path, Path]:
    """Write report.md, report.html and summary.json. Raises InputError if folder cannot be written."""
    markdown, page = folder / "report.md", folder / "report.html"
    summary = json.dumps([results_json(result, verdicts=False) for result in results], indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        markdown.write_text(to_markdown(results), encoding="utf-8", errors="replace")
        page.write_text(to_html(results), encoding="utf-8", errors="replace")  # half characters
        (folder / "summary.json").write_text(summary + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"[eval] {folder}: {error.strerror}") from error
    return markdown, page


def results_json(result: Results, *, verdicts: bool) -> dict[str, object]:
    """Everything about one suite, for programs; verdicts says whether each sample's is in it."""
    fields: dict[str, object] = {
        "suite": result.suite,
        "model": result.model,
        "scored_by": result.version,
        "samples": len(result.records),
        "metrics": {
            name: {"value": metric.value, "low": metric.low, "high": metric.high, "samples": metric.samples}
            for name, metric in result.metrics.items()
        },
        "unscored": dict(result.unscored),
        "unanswered": result.unanswered,
    }
    if verdicts:
        fields["verdicts"] = [_verdict_json(result, name) for name in result.records]
    return fields


def _verdict_json(result: Results, name: str) -> dict[str, object]:
    verdict = result.records[name].verdict
    scores = {metric: share.part / share.whole for metric, share in verdict.shares.items() if share.whole}
    return {"id": name, "scores": scores, "unscored": list(verdict.unscored), **verdict.details}


def shown(metric: str, summary: Summary) -> str:
    """A share as a percentage with its interval; metrics that end in a unit as they are."""
    if metric.endswith(("_s", "_mb", "_tokens", "_score")):
        return f"{summary.value:.4g} ({summary.low:.4g} to {summary.high:.4g})"
    return f"{100 * summary.value:.1f} % ({100 * summary.low:.1f} to {100 * summary.high:.1f})"


def to_markdown(results: Sequence[Results]) -> str:
    lines = ["# Evaluation", ""]
    for result in results:
        lines += [f"## {result.suite}", "", f"Model: {result.model}. Scored by: {result.version}.", ""]
        lines += ["| metric | value (95 % interval) | samples |", "|---|---|---|"]
        lines += [f"| {name} | {shown(name, metric)} | {metric.samples} |" for name, metric in result.metrics.items()]
        lines += ["", *_unscored_lines(result), ""]
    return "\n".join(lines)


def _unscored_lines(result: Results) -> list[str]:
    missing = [f"{result.unanswered} samples of the suite have no answer."] if result.unanswered else []
    if not result.unscored:
        return [*missing, "Every answer was scored."]
    reasons = (f"- {count} x {reason}" for reason, count in result.unscored.items())
    return [*missing, "Unscored (not counted as wrong):", "", *reasons]


def to_html(results: Sequence[Results]) -> str:
    """One self-contained page: plot, tables, and the first answers of each suite with their verdicts."""
    body = ["<h1>Evaluation</h1>", _plot(results)]
    for result in results:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td class=n>{shown(name, metric)}</td>"
            f"<td class=n>{metric.samples}</td></tr>"
            for name, metric in result.metrics.items()
        )
        unscored = "<br>".join(html.escape(line) for line in _unscored_lines(result) if line)
        body += [
            f"<h2>{html.escape(result.suite)}</h2>",
            f"<p>Model: {html.escape(result.model)}. Scored by: {html.escape(result.version)}.</p>",
            f"<table><tr><th>metric<th>value (95 % interval)<th>samples</tr>{rows}</table><p>{unscored}</p>",
            _examples(result),
        ]
    title = html.escape(", ".join(result.suite for result in results))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        + "\n".join(body)
        + "</html>\n"
    )


def _examples(result: Results) -> str:
    rows = []
    for name in list(result.records)[:_MOST_EXAMPLES]:
        record = result.records[name]
        answer = json.dumps(record.answer, ensure_ascii=False, indent=1, default=str)[:_MOST_TEXT]
        verdict = json.dumps(_verdict_json(result, name), ensure_ascii=False, default=str)[:_MOST_TEXT]
        rows.append(
            f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(answer)}\n\n"
            f"{html.escape(verdict)}</pre></details>"
        )
    return f"<h3>The first {len(rows)} samples</h3>" + "".join(rows)


def _plot(results: Sequence[Results]) -> str:
    """Bars of every share with its interval, as inline SVG; empty without matplotlib."""
    bars = [
        (f"{result.suite} {name}", metric)
        for result in results
        for name, metric in result.metrics.items()
        if 0 <= metric.value <= 1
    ]
    if not bars or importlib.util.find_spec("matplotlib") is None:
        return ""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.6 + 0.35 * len(bars)), layout="constrained")
    axes = figure.subplots()
    values = [metric.value for _, metric in bars]
    errors = [
        [max(0.0, metric.value - metric.low) for _, metric in bars],
        [max(0.0, metric.high - metric.value) for _, metric in bars],
    ]
    axes.barh([name for name, _ in bars], values, xerr=errors, color="#5b8def", ecolor="#333")
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    return drawing[drawing.index("<svg") :]

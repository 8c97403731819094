"""What the server has done, counted, and written as Prometheus reads it. Numbers only. Start at Metrics."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mambino.chat.turn import Turn

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * len(_SECONDS))
    total: int = 0
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.total += 1
        self.sum_s += seconds
        for index, bound in enumerate(_SECONDS):
            self.counts[index] += seconds <= bound

    def lines(self, name: str) -> Iterator[str]:
        for bound, count in zip(_SECONDS, self.counts, strict=True):
            yield f'{name}_bucket{{le="{bound:g}"}} {count}'
        yield f'{name}_bucket{{le="+Inf"}} {self.total}'
        yield f"{name}_sum {self.sum_s:.6f}"
        yield f"{name}_count {self.total}"


class Metrics:
    """Counters since the start. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._answers: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._first_token = _Histogram()
        self._answer = _Histogram()

    def request(self, route: str, status: int) -> None:
        """Count a request. route is the pattern, not the path: clients must not be able to add rows."""
        self._requests[route, status] += 1

    def answered(self, turn: Turn) -> None:
        """Count an answer that ended."""
        self._answers[turn.finish_reason] += 1
        self._tokens["prompt"] += turn.prompt_tokens
        self._tokens["prompt_reused"] += turn.reused_tokens
        self._tokens["completion"] += len(turn.tokens)
        self._tokens["reasoning"] += turn.reasoning_tokens
        if turn.tokens:
            self._first_token.observe(turn.prompt_s)
        self._answer.observe(turn.prompt_s + turn.decode_s)

    def failed(self) -> None:
        """Count an answer that raised."""
        self._answers["error"] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The page that Prometheus scrapes; gauges are name -> (help, value now)."""
        return "\n".join(self._lines(gauges)) + "\n"

    def _lines(self, gauges: Mapping[str, tuple[str, float]]) -> Iterator[str]:
        yield from _heading("mambino_requests_total", "counter", "HTTP requests by route and status.")
        for (route, status), count in sorted(self._requests.items()):
            yield f'mambino_requests_total{{route="{route}",status="{status}"}} {count}'
        yield from _heading("mambino_answers_total", "counter", "Answers by why they ended.")
        for reason, count in sorted(self._answers.items()):
            yield f'mambino_answers_total{{finish_reason="{reason}"}} {count}'
        yield from _heading("mambino_tokens_total", "counter", "Tokens by kind; prompt includes prompt_reused.")
        for kind, count in sorted(self._tokens.items()):
            yield f'mambino_tokens_total{{kind="{kind}"}} {count}'
        for name, histogram, meaning in (
            ("mambino_first_token_seconds", self._first_token, "From a slot to the first token."),
            ("mambino_answer_seconds", self._answer, "From a slot to the last token."),
        ):
            yield from _heading(name, "histogram", meaning)
            yield from histogram.lines(name)
        for name, (meaning, value) in gauges.items():
            yield from _heading(name, "gauge", meaning)
            yield f"{name} {value:g}"


def _heading(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"

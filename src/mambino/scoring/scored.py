"""The value every verifier returns. Start at Scored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """value is 0 (wrong) to 1 (right), or None: unscored, which is never counted as 0. evidence says why, in words."""

    value: float | None
    evidence: str = ""

    @property
    def is_scored(self) -> bool:
        return self.value is not None


def right(evidence: str = "") -> Scored:
    return Scored(value=1.0, evidence=evidence)


def wrong(evidence: str) -> Scored:
    return Scored(value=0.0, evidence=evidence)


def unscored(reason: str) -> Scored:
    """No verdict: the answer or the verifier is missing, not the answer's quality."""
    return Scored(value=None, evidence=reason)

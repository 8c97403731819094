"""Calendar scheduling: does the reply hold a JSON list of events that keeps every constraint?

The rules are NeMo-Gym's calendar environment: count, duration, day window, constraint, no overlap. Start at
score_schedule.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from mambino.scoring.scored import Scored, right, wrong

Event = Mapping[str, object]  # expected: event_id, duration, constraint, min_time, max_time
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)


def minutes_of(text: str) -> int:
    """Minutes since midnight of "10:30", "10am" or "1:45 pm". Raises ValueError for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError(f"not a time: {text!r}")
    hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
    if hour > 23 or minute > 59:
        raise ValueError(f"not a time: {text!r}")
    return hour * 60 + minute


def score_schedule(reply: str, expected: Sequence[Event]) -> Scored:
    """expected are the events that the conversation asked for, each with its constraint in words."""
    if "<think>" in reply or "</think>" in reply:
        return wrong("think tags in the reply")
    if not expected:
        return right("nothing to schedule")
    try:
        listed = reply[max(0, reply.find("[")) : reply.rfind("]") + 1]
        events = json.loads(listed) if listed.startswith("[") else None
        if not isinstance(events, list):
            return wrong("no JSON list in the reply")
        fault = _fault(events, expected)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return wrong(f"unreadable events: {error}")
    return wrong(fault) if fault else right()


def _fault(events: Sequence[Event], expected: Sequence[Event]) -> str | None:
    if len(events) != len(expected):
        return f"{len(events)} events instead of {len(expected)}"
    spans = []
    by_id = {str(event["event_id"]): event for event in events}
    for wanted in expected:
        event = by_id.get(str(wanted["event_id"]))
        if event is None:
            return f"event {wanted['event_id']} is missing"
        start, duration = minutes_of(str(event["start_time"])), int(str(event["duration"]))
        if duration != int(str(wanted["duration"])):
            return f"event {wanted['event_id']}: {duration} minutes instead of {wanted['duration']}"
        span = (start, start + duration)
        if span[0] < minutes_of(str(wanted["min_time"])) or span[1] > minutes_of(str(wanted["max_time"])):
            return f"event {wanted['event_id']}: outside {wanted['min_time']} to {wanted['max_time']}"
        if not keeps(str(wanted.get("constraint") or ""), *span):
            return f"event {wanted['event_id']}: not {wanted['constraint']}"
        spans.append(span)
    spans.sort()
    return "events overlap" if any(a[1] > b[0] for a, b in pairwise(spans)) else None


def keeps(constraint: str, start: int, end: int) -> bool:
    """before X: end <= X; after X: start >= X; between X and Y: both; at X: start = X; empty: always. In minutes."""
    words = constraint.strip().lower()
    if not words:
        return True
    kind, _, rest = words.partition(" ")
    if kind == "between":
        first, _, second = rest.partition(" and ")
        return minutes_of(first) <= start and end <= minutes_of(second)
    time = minutes_of(rest)
    tests = {"before": end <= time, "after": start >= time, "at": start == time}
    if kind not in tests:
        raise ValueError(f"unknown constraint {constraint!r}")
    return tests[kind]

"""The words for states, times and sums that every reporter for people uses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from f0make.cli.streams import shown

STATES = ("ran", "restored", "current", "failed", "skipped", "cancelled")
"""What can become of an instance, in the order of the summary."""

PLANNED = ("run", "restore", "current", "skip")
"""What a plan says of an instance, in the order of its summary."""


def duration(seconds: float) -> str:
    """``seconds`` as a person reads them: `0.04 s`, `3.2 s`, `2:05 min`, `1:02:05 h`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def counts(event: Mapping[str, Any], states: tuple[str, ...] = STATES) -> str:
    """`3 ran, 1 failed`: every state that occurs."""
    found = [f"{event[state]} {state}" for state in states if event.get(state)]
    return ", ".join(found) if found else "no steps"


def summary_line(event: Mapping[str, Any]) -> str:
    """The last line of a run: how it ended, the counts, how long it took."""
    status = str(event.get("status", "ok"))
    if status == "ok":
        did = any(event.get(state) for state in ("ran", "restored"))
        head = "ok" if did else "nothing to do"
    else:
        head = {"budget": "the budget ended the run"}.get(status, status)
    return f"{head}: {counts(event)} in {duration(float(event.get('seconds', 0)))}"


def step_line(event: Mapping[str, Any]) -> str:
    """One line for an instance: state, name, how long, why."""
    seconds = event.get("seconds")
    took = f"  {duration(float(seconds))}" if seconds and event["status"] in ("ran", "failed") else ""
    host = f" on {shown(str(event['host']))}" if event.get("host") not in (None, "", "local") else ""
    reason = f"  ({shown(str(event['reason']))})" if event.get("reason") else ""
    return f"{event['status']:<9} {shown(str(event['step']))}{host}{took}{reason}"

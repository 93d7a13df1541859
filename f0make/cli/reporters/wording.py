"""The words for states, times and sums that every reporter for people uses. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.cli.streams import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
        head = f"the {event.get('budget', '')} budget ended the run".replace("  ", " ")
        head = head if status == "budget" else status
    return (
        f"{head}: {counts(event)} in {duration(float(event.get('seconds', 0)))}{_rest(event)}{_cost(event)}"
    )


def _rest(event: Mapping[str, Any]) -> str:
    """What a run that its budget ended has left undone."""
    rest = event.get("rest")
    if not isinstance(rest, Mapping):
        return ""
    energy = energy_words(rest["energy_kwh"], rest["carbon_g"])
    return f"; the rest ({rest['instances']}) is predicted to need {duration(rest['seconds'])}, {energy}"


def _cost(event: Mapping[str, Any]) -> str:
    """Energy and carbon of a run, where they were measured."""
    if event.get("energy_kwh") is None:
        return ""
    return (
        f"; {energy_words(event['energy_kwh'], event.get('carbon_g') or 0.0)} by {event.get('energy_method')}"
    )


def usage_line(event: Mapping[str, Any]) -> str:
    """What the last run took, and what it did not have to: `CPU 3.2 s, up to 120 MB; saved 12 s`."""
    parts = []
    if event.get("cpu_seconds"):
        peak = float(event.get("peak_mem") or 0)
        parts.append(f"CPU {duration(float(event['cpu_seconds']))}, up to {peak / 1e6:.0f} MB in one step")
    if event.get("saved_seconds"):
        saved = f"saved {duration(float(event['saved_seconds']))}"
        energy = float(event.get("saved_energy_kwh") or 0)
        parts.append(f"{saved} and {energy * 3_600_000:.3g} J" if energy else saved)
    return "; ".join(parts)


def energy_words(kwh: float, grams: float) -> str:
    """`1.2 kWh, 67 g CO2e`, in the unit that fits; three digits."""
    joules = kwh * 3_600_000
    unit, factor = ("kWh", 3_600_000) if kwh >= 1 else ("Wh", 3_600) if joules >= 3_600 else ("J", 1)
    carbon = (
        f"{grams / 1000:.3g} kg"
        if grams >= 1000
        else f"{grams:.3g} g"
        if grams >= 0.1
        else f"{grams * 1000:.3g} mg"
    )
    return f"{joules / factor:.3g} {unit}, {carbon} CO2e"


def step_line(event: Mapping[str, Any]) -> str:
    """One line for an instance: state, name, how long, why."""
    seconds = event.get("seconds")
    took = f"  {duration(float(seconds))}" if seconds and event["status"] in ("ran", "failed") else ""
    host = f" on {shown(str(event['host']))}" if event.get("host") not in (None, "", "local") else ""
    reason = f"  ({shown(str(event['reason']))})" if event.get("reason") else ""
    return f"{event['status']:<9} {shown(str(event['step']))}{host}{took}{reason}"

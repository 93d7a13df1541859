"""What is known of a run: its line in the history, and a row for each instance from the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f0make.store.instance_identity import recipe_of

if TYPE_CHECKING:
    from f0make.store.record_store import Store

MEASURES = ("seconds", "cpu_seconds", "peak_mem", "read", "written", "energy_kwh", "carbon_g")


@dataclass(slots=True)
class Row:
    """One instance. Seconds, bytes, kilowatt hours, grams; None where nothing was measured."""

    name: str
    step: str
    status: str
    reason: str = ""
    started: float | None = None
    """Unix time."""
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_mem: int | None = None
    read: int | None = None
    written: int | None = None
    energy_kwh: float | None = None
    carbon_g: float | None = None
    host: str = ""
    attempt: int = 1
    exit_code: int | None = None


def rows(run: Mapping[str, Any], store: Store, current: Iterable[str] = ()) -> list[Row]:
    """A row for each instance of ``run``, in the order in which they were settled; ``current`` are added.

    An instance that ran again since has lost its measures: only its newest record is asked.
    """
    failures = run.get("failures") or {}
    found = []
    for name, status in (run.get("steps") or {}).items():
        row = Row(name, name.partition("[")[0], status)
        about: Mapping[str, Any] = {}
        if status == "failed":
            about = failures.get(name) or {}
        elif status == "ran":
            record = store.latest(name)
            about = record if record is not None and record.get("run") == run.get("run") else {}
        fill(row, about)
        found.append(row)
    known = {row.name for row in found}
    found += [Row(name, name.partition("[")[0], "current") for name in current if name not in known]
    return found


def fill(row: Row, about: Mapping[str, Any]) -> None:
    """Take what a record, or the history of a failure, says."""
    for name in (*MEASURES, "started", "exit_code"):
        value = about.get(name)
        if isinstance(value, int | float):
            setattr(row, name, value)
    row.reason = str(about.get("reason") or "")
    row.host = str(about.get("host") or "")
    row.attempt = int(about.get("attempt") or 1)


def measures(runs: Iterable[Mapping[str, Any]], store: Store) -> dict[str, dict[str, dict[str, Any]]]:
    """Run -> instance -> what its attempt took, as far as it is known: that of its newest record, and failures."""
    known: dict[str, dict[str, dict[str, Any]]] = {}
    names: dict[tuple[str, str], None] = {}
    for run in runs:
        recipe = recipe_of(str(run.get("recipe", "")), store.workspace)
        names.update(dict.fromkeys((recipe, name) for name in run.get("steps") or ()))
        for name, about in (run.get("failures") or {}).items():
            known.setdefault(str(run.get("run")), {})[name] = _taken(about)
    for recipe, name in names:
        record = store.latest(name, recipe)
        if record is not None and record.get("run"):
            known.setdefault(str(record["run"]), {})[name] = _taken(record)
    return known


def _taken(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in MEASURES if about.get(name) is not None}


@dataclass(slots=True)
class StepRow:
    """All instances of a step together: sums, the largest for memory."""

    name: str
    states: dict[str, int]
    seconds: float | None = None
    longest: float | None = None
    cpu_seconds: float | None = None
    peak_mem: float | None = None
    read: float | None = None
    written: float | None = None
    energy_kwh: float | None = None
    carbon_g: float | None = None


_SUMS = ("seconds", "cpu_seconds", "read", "written", "energy_kwh", "carbon_g")
_LARGEST = (("longest", "seconds"), ("peak_mem", "peak_mem"))


def by_step(found: Iterable[Row]) -> list[StepRow]:
    """A row for each step, in the order of first appearance."""
    steps: dict[str, StepRow] = {}
    for row in found:
        step = steps.setdefault(row.step, StepRow(row.step, {}))
        step.states[row.status] = step.states.get(row.status, 0) + 1
        for name in _SUMS:
            if (value := getattr(row, name)) is not None:
                setattr(step, name, (getattr(step, name) or 0) + value)
        for name, of in _LARGEST:
            if (value := getattr(row, of)) is not None:
                setattr(step, name, max(getattr(step, name) or 0, value))
    return list(steps.values())

"""Whether an instance may start now: limits at this moment, and what is left of the sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nlargest

from f0make.fast_dataclass import dataclass
from f0make.governor.budget import Budget
from f0make.governor.predict import Need

SUMS = ("time", "energy", "carbon")


@dataclass(slots=True)
class Left:
    """What is left of the sums; None: not limited. Seconds, kWh, grams."""

    time: float | None = None
    energy: float | None = None
    carbon: float | None = None


@dataclass(slots=True)
class Load:
    """What running steps take: the larger of what is measured and what is predicted, of each."""

    count: int = 0
    cores: float = 0.0
    mem: float = 0.0
    """Bytes, with f0make and its workers."""
    load: float = 0.0
    """Load average of the machine, and one for each step that started within its last second."""
    room: float | None = None
    """Bytes that the machine can still give when running steps have grown as predicted; None: not known."""


def most(amounts: Sequence[float], count: int | None) -> float:
    """What any ``count`` of ``amounts`` come to at most, all of them where that is None."""
    return sum(amounts if count is None or count >= len(amounts) else nlargest(count, amounts))


def crosses_now(budget: Budget, need: Need, load: Load, cores: int) -> str:
    """The limit that starting ``need`` would cross at this moment: ``cpu``, ``mem``, ``machine`` (its memory), ``load`` or nothing.

    With nothing running, nothing is crossed: one step may always start. ``cores``: how many f0make may use.
    """
    if not load.count:
        return ""
    if budget.cpu is not None and load.cores + need.cores.value > cores * budget.cpu / 100 + 1e-9:
        return "cpu"
    if budget.mem is not None and load.mem + need.mem.value > budget.mem:
        return "mem"
    if budget.mem is not None and load.room is not None and need.mem.value > load.room:
        return "machine"
    if budget.load is not None and load.load >= budget.load:
        return "load"
    return ""


def takes(need: Need, intensity: float, idle: float = 0.0, ahead: float = 0.0) -> dict[str, float]:
    """What ``need`` takes of each sum: seconds, kWh, grams (``intensity``: g/kWh). Unknown is nothing.

    ``idle``: kWh that each second of the run costs, whatever runs; ``ahead``: the seconds that are already counted,
    because something else runs for so long.
    """
    energy = need.energy.value if need.energy.known else 0.0
    if need.seconds.known:
        energy += idle * max(0.0, need.seconds.value - ahead)
    return {
        "time": need.seconds.value if need.seconds.known else 0.0,
        "energy": energy,
        "carbon": energy * intensity,
    }


def crosses_sum(left: Left, need: Need, intensity: float, idle: float = 0.0, ahead: float = 0.0) -> str:
    """The sum that ``need`` does not fit: ``time``, ``energy``, ``carbon``, or nothing.

    What is not known is taken for nothing, as long as anything is left. ``idle``, ``ahead``: see `takes`.
    """
    taken = takes(need, intensity, idle, ahead)
    for name in SUMS:
        rest = getattr(left, name)
        if rest is not None and (rest <= 0 or taken[name] > rest):
            return name
    return ""


def never_fits(budget: Budget, need: Need, intensity: float) -> str:
    """The sum that ``need`` does not even fit when nothing of it is spent, or nothing."""
    whole = Left(budget.time, budget.energy, budget.carbon)
    return crosses_sum(whole, need, intensity)


def rest(needs: Iterable[Need], intensity: float, jobs: int) -> dict[str, float]:
    """What all of ``needs`` are predicted to take: seconds on ``jobs`` slots, kWh, grams."""
    seconds = longest = energy = 0.0
    for need in needs:
        seconds += need.seconds.value
        longest = max(longest, need.seconds.value)
        energy += need.energy.value
    return {
        "seconds": max(longest, seconds / max(1, jobs)),
        "energy_kwh": energy,
        "carbon_g": energy * intensity,
    }

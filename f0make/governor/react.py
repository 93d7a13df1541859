"""Which steps pause, go on or are put back when the machine is beyond a limit. Pure: measures in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from f0make.fast_dataclass import dataclass
from f0make.governor.budget import Budget

LASTING = 5.0
"""Seconds of memory pressure after which a paused step is ended and put back: pausing frees no memory."""
AT_ONCE = 1.15
"""Times the limit from which that does not wait: what still runs may grow on."""
CLEAR = 0.95
"""Share of a limit below which paused steps go on, so that they do not stop again at once."""
RESERVE = 0.02
"""Share of the machine's (or the control group's) memory that is left to others, within these bytes:"""
LEAST_RESERVE, MOST_RESERVE = 64_000_000, 512_000_000

WORDS = {
    "mem": "the steps take more than the memory limit",
    "machine": "the machine is short of memory",
    "cpu": "the steps take more than the CPU limit",
    "load": "the machine's load is beyond the limit",
}
"""What `short_of` finds, for people."""


class Act(Enum):
    """What to do with a step."""

    PAUSE = "pause"
    RESUME = "resume"
    EVICT = "evict"
    """End it and run it again later; it has not failed."""


@dataclass(slots=True)
class Member:
    """One running step."""

    token: str
    started: float
    """Seconds of any growing clock."""
    mem: int = 0
    """Bytes now."""
    expected_mem: float = 0.0
    """Bytes at its predicted peak."""
    cores: float = 0.0
    """Cores in use: now, or when it was paused."""
    paused: float | None = None
    """When it was paused."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured."""

    own_mem: int
    """Bytes of f0make and all that it started."""
    cores: float
    """Cores that running steps use."""
    load: float
    runnable: int
    """Processes that want to run now."""
    available: int | None = None
    """Bytes that can still be had, None where that is not known."""
    total: int = 0
    """Bytes of the machine."""


def reserve(total: int) -> float:
    """Bytes that must stay available of ``total``."""
    return min(max(RESERVE * total, LEAST_RESERVE), MOST_RESERVE)


def short_of(budget: Budget, machine: Machine, cores: int) -> list[str]:
    """The names of the limits that the machine is beyond: ``mem``, ``machine`` (its memory), ``cpu``, ``load``.

    ``cores``: how many f0make may use.
    """
    found = []
    if budget.mem is not None:
        if machine.own_mem > budget.mem:
            found.append("mem")
        if machine.available is not None and machine.available < reserve(machine.total):
            found.append("machine")
    # Two readings of the clock tick around each measure: a twentieth is noise.
    if budget.cpu is not None and machine.cores > cores * budget.cpu / 100 * 1.05 + 0.05:
        found.append("cpu")
    # The average says what was; only with what wants to run now does pausing help.
    if budget.load is not None and machine.load > budget.load and machine.runnable > budget.load:
        found.append("load")
    return found


def decide(
    members: Sequence[Member], machine: Machine, budget: Budget, cores: int, now: float
) -> list[tuple[Act, str]]:
    """What to do, by token; the next look will see what came of it.

    The oldest step always goes on. Short of CPU or beyond the load, the youngest that runs is paused. Short of
    memory, all others are, because each may grow; when that lasts the youngest are put back until what is left
    fits. When there is room again the oldest paused one goes on.
    """
    running = sorted((m for m in members if m.paused is None), key=lambda m: m.started)
    paused = sorted((m for m in members if m.paused is not None), key=lambda m: m.started)
    if paused and not running:
        return [(Act.RESUME, paused[0].token)]
    short = short_of(budget, machine, cores)
    if short:
        if "mem" in short or "machine" in short:
            actions = [(Act.PAUSE, member.token) for member in running[1:]]
            worst = budget.mem is not None and machine.own_mem > AT_ONCE * budget.mem
            if worst or (paused and now - min(m.paused or now for m in paused) >= LASTING):
                actions += _evict([*paused, *running[1:]], machine, budget)
            return actions
        return [(Act.PAUSE, running[-1].token)] if len(running) > 1 else []
    if paused and _room(paused[0], machine, budget, cores):
        return [(Act.RESUME, paused[0].token)]
    return []


def _evict(members: Sequence[Member], machine: Machine, budget: Budget) -> list[tuple[Act, str]]:
    """The youngest of ``members``, as many as it takes to be inside the limit; at least one, if there is any."""
    excess = machine.own_mem - budget.mem if budget.mem is not None else 0
    actions: list[tuple[Act, str]] = []
    for member in sorted(members, key=lambda m: -m.started):
        if actions and excess <= 0:
            break
        actions.append((Act.EVICT, member.token))
        excess -= member.mem
    return actions


def _room(member: Member, machine: Machine, budget: Budget, cores: int) -> bool:
    """Whether ``member`` can go on without crossing a limit again."""
    growth = max(0.0, member.expected_mem - member.mem)
    if budget.mem is not None and machine.own_mem + growth > CLEAR * budget.mem:
        return False
    if machine.available is not None and machine.available - growth < 1.5 * reserve(machine.total):
        return False
    if budget.cpu is not None and machine.cores + member.cores > cores * budget.cpu / 100 * 1.05 + 0.05:
        return False
    return budget.load is None or machine.load <= budget.load or machine.runnable + 1 <= budget.load

"""What the machine, f0make's processes and their steps take, as it was measured last."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from f0make.governor import admit, machine_state, process_usage, react

if TYPE_CHECKING:
    from f0make.governor.budget import Budget
    from f0make.governor.running_attempt import Running

LOOK_EVERY = 0.2
"""Seconds between two looks at the machine while something is limited at every moment, and the longest that a step
stays in front of a busy worker: what let it in must still hold when it starts."""
BASE_EVERY = 2.0
"""Seconds for which the memory of f0make itself is taken as known while steps are too short to be looked at."""


class Observation:
    """Measure what ``budget`` limits at every moment. ``clock`` tells monotonic seconds.

    ``here`` of the methods are the attempts on this machine; ``placed`` says of each token its worker's process id,
    and whether the step runs inside of it.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.base_mem = 0
        """Bytes that f0make takes without its steps."""
        self._budget = budget
        self._clock = clock
        self._tree = process_usage.Tree()
        self._looked = float("-inf")
        self._machine_read = float("-inf")
        self._load_average = 0.0
        self._memory: machine_state.Memory | None = None

    @property
    def total_mem(self) -> int:
        """Bytes that f0make and its steps take."""
        return self._tree.total_mem

    def measure(self, here: Mapping[str, Running], placed: Mapping[str, tuple[int, bool]]) -> None:
        """Measure f0make's processes and divide them among the steps."""
        before, was = self._looked, self._tree
        self._tree = found = process_usage.tree(os.getpid(), self._budget.mem is not None)
        self._looked = now = self._clock()
        of_steps = 0
        for token, running in here.items():
            place = placed.get(token)
            member = running.member
            if place is None:
                continue
            pids = found.below(*place)
            member.mem = found.mem_of(pids)
            of_steps += member.mem
            if member.paused is None and now - before > 0.05:
                spent = sum(found.cpu.get(pid, 0.0) - was.cpu.get(pid, 0.0) for pid in pids)
                member.cores = max(0.0, spent) / min(now - before, max(0.05, now - running.began))
        self.base_mem = found.total_mem - of_steps

    def machine(self, members: list[react.Member]) -> react.Machine:
        """The machine now, with ``members`` as they were measured last."""
        load, runnable = machine_state.load() if self._budget.load is not None else (0.0, 0)
        memory = machine_state.memory() if self._budget.mem is not None else None
        return react.Machine(
            self._tree.total_mem,
            sum(member.cores for member in members if member.paused is None),
            load,
            runnable,
            memory.available if memory is not None else None,
            memory.total if memory is not None else 0,
        )

    def predicted_load(
        self, here: Mapping[str, Running], placed: Mapping[str, tuple[int, bool]], beside: int | None
    ) -> admit.Load:
        """What all that is under way will take, or those ``beside`` of it that take most (None: all)."""
        if self._budget.mem is not None and self._clock() - self._looked > BASE_EVERY:
            self.measure(here, placed)
        found = admit.Load(count=len(here), mem=self.base_mem)
        now = self._clock()
        if now - self._machine_read > LOOK_EVERY:
            self._machine_read = now
            self._load_average = machine_state.load()[0] if self._budget.load is not None else 0.0
            self._memory = machine_state.memory() if self._budget.mem is not None else None
        fresh, mem, growth, cores = 0, list[float](), list[float](), list[float]()
        for running in here.values():
            member = running.member
            mem.append(max(member.mem, running.need.mem.value))
            growth.append(max(0.0, running.need.mem.value - member.mem))
            if member.paused is None:
                cores.append(max(member.cores, running.need.cores.value))
            fresh += now - running.began < 1.0
        found.mem += admit.most(mem, beside)
        found.cores = admit.most(cores, beside)
        found.load = self._load_average + (fresh if beside is None else min(fresh, beside))
        if self._memory is not None:
            room = self._memory.available - react.reserve(self._memory.total)
            found.room = room - admit.most(growth, beside)
        return found

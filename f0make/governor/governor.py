"""The governor of one run: asked before each start, told of each end, and looking at the machine in between.

Lives in the thread of the run; only CodeCarbon has a thread of its own. Instances are known by name and
attempts by token, because the numbers of nodes change when the graph grows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from f0make.governor import admit, measure, react
from f0make.governor.attribute import Ledger
from f0make.governor.limits import Budget
from f0make.governor.model import JOULES_PER_KWH, PowerModel
from f0make.governor.pausing import Pausing
from f0make.governor.predict import Need, Predictor

if TYPE_CHECKING:
    from f0make.execution.bundle import Outcome
    from f0make.governor.meter import Meter
    from f0make.model import Instance
    from f0make.state.store import Store

LOOK_EVERY = 0.2
"""Seconds between two looks at the machine while something is limited at every moment."""
BASE_EVERY = 2.0
"""Seconds for which the memory of f0make itself is taken as known while steps are too short to be looked at."""
READ_EVERY = 0.02
"""Least seconds between two readings of the meter: a hundred short steps a second need no more."""
METER_EVERY = 10.0
"""Seconds after which the meter is read at the latest: a counter wraps around in minutes."""
_MOST_SHARE = 0.05
"""Share of one core that looking may take; a machine of many processes is looked at more seldom."""
_SELDOM = 1.0
"""Seconds; but never more seldom than this."""


class _Running:
    """One attempt under way."""

    __slots__ = ("began", "instance", "member", "need")

    def __init__(self, instance: Instance, need: Need, member: react.Member) -> None:
        self.instance = instance
        self.need = need
        self.member = member
        self.began = member.started


class Governor:
    """Keeps one run inside ``budget`` and counts what it costs.

    ``began`` is the monotonic time from which the run counts; ``cores`` how many it may use; ``note`` tells a
    person something.
    """

    def __init__(
        self,
        budget: Budget,
        store: Store,
        model: PowerModel,
        intensity: float,
        *,
        jobs: int,
        cores: int,
        began: float,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.model = model
        self.intensity = intensity
        self.jobs = jobs
        self.cores = cores
        self.predictor = Predictor(store.stats, store.step_stats, model.kwh)
        self.refused: dict[str, str] = {}
        """Instance -> the sum that it did not fit when it was asked about last."""
        self.meter: Meter | None = None
        self._ledger = Ledger(model.idle_watts)
        self._began = began
        self._clock = clock
        self._note = note
        self._running: dict[str, _Running] = {}
        self._needs: dict[str, Need] = {}
        self._started = 0
        self._done_cpu = 0.0
        self._base_mem = 0
        self._tree = measure.Tree()
        self._looked = float("-inf")
        self._load_read = float("-inf")
        self._load_average = 0.0
        self._next_look = 0.0
        self._scarce: bool | None = None
        self._pausing = Pausing(clock)
        self._own = _own_cpu()
        self._final = False

    # -- before a start ----------------------------------------------------------------------------------

    def need(self, instance: Instance) -> Need:
        """What ``instance`` is predicted to take."""
        need = self._needs.get(instance.name)
        if need is None:
            need = self._needs[instance.name] = self.predictor.need(instance)
        return need

    def admits(self, instance: Instance) -> bool:
        """Whether ``instance`` may start now."""
        need = self.need(instance)
        if self.budget.sums:
            name = admit.crosses_sum(self._left(), need, self.intensity)
            if name:
                self.refused[instance.name] = name
                return False
            self.refused.pop(instance.name, None)
        if not self.budget.momentary or not self._running:
            return True
        return not admit.crosses_now(self.budget, need, self._load(), self.cores)

    def urgency(self, instance: Instance, level: float, unsettled: Callable[[], Iterable[Instance]]) -> float:
        """How early ``instance`` should go: ``level`` while the sums suffice for all, else the cheapest first.

        Of a sum that is too small for everything, cheap instances let more of the graph be finished.
        """
        if not self.budget.sums:
            return level
        taken = admit.takes(self.need(instance), self.intensity)
        if self._scarce is None:
            rest = admit.rest((self.need(i) for i in unsettled()), self.intensity, self.jobs)
            named = {"time": rest["seconds"], "energy": rest["energy_kwh"], "carbon": rest["carbon_g"]}
            left = self._left()
            self._scarce = any(
                (limit := getattr(left, name)) is not None and asked > limit for name, asked in named.items()
            )
        if not self._scarce:
            return level
        limits = {name: getattr(self.budget, name) for name in admit.SUMS}
        return -max(taken[name] / float(limit) for name, limit in limits.items() if limit)

    def refuse_hopeless(self, waiting: Iterable[Instance]) -> None:
        """Raise UsageError when not one of ``waiting`` would fit even an untouched budget.

        Not once anything has run: then there was something that it sufficed for.
        """
        if self._started:
            return
        found = None
        for instance in waiting:
            name = admit.never_fits(self.budget, self.need(instance), self.intensity)
            if not name:
                return
            taken = admit.takes(self.need(instance), self.intensity)[name]
            if found is None or taken < found[2]:
                found = instance, name, taken
        if found is not None:
            from f0make.errors import UsageError
            from f0make.governor.limits import hopeless

            raise UsageError(hopeless(self.budget, found[0].name, found[1], found[2]))

    def _left(self) -> admit.Left:
        """What is left of the sums for one more instance: what running ones will still take is spoken for."""
        left = admit.Left()
        now = self._clock()
        if self.budget.time is not None:
            left.time = self.budget.time - (now - self._began)
        if self.budget.energy is not None or self.budget.carbon is not None:
            self._read()
            kwh = self._ledger.total / JOULES_PER_KWH
            for running in self._running.values():
                need = running.need
                if need.energy.known:
                    share = (now - running.began) / max(need.seconds.value, 1e-3)
                    kwh += need.energy.value * max(0.0, 1.0 - share)
            if self.budget.energy is not None:
                left.energy = self.budget.energy - kwh
            if self.budget.carbon is not None:
                left.carbon = self.budget.carbon - kwh * self.intensity
        return left

    def _load(self) -> admit.Load:
        if self.budget.mem is not None and self._clock() - self._looked > BASE_EVERY:
            self._look()
        found = admit.Load(count=len(self._running), mem=self._base_mem)
        now = self._clock()
        fresh = 0
        for running in self._running.values():
            member = running.member
            found.mem += max(member.mem, running.need.mem.value)
            if member.paused is None:
                found.cores += max(member.cores, running.need.cores.value)
            fresh += now - running.began < 1.0
        if self.budget.load is not None:
            if now - self._load_read > LOOK_EVERY:
                self._load_read, self._load_average = now, measure.load()[0]
            found.load = self._load_average + fresh
        return found

    # -- starting and ending -----------------------------------------------------------------------------

    def open(self, country: str | None) -> None:
        """Something really runs: begin to measure energy, if that was asked for."""
        if self.budget.metered and self.meter is None:
            from f0make.governor.meter import choose

            self.meter = choose(self.model, self._own_busy, self.intensity, country)
            self._read(force=True)

    def started(self, instance: Instance, token: str) -> None:
        """The attempt ``token`` of ``instance`` was handed to the backend."""
        self.open(self.budget.country)
        need = self.need(instance)
        member = react.Member(token, self._clock(), expected_mem=need.mem.value, cores=need.cores.value)
        self._running[token] = _Running(instance, need, member)
        self._started += 1

    def ended(self, outcome: Outcome) -> dict[str, Any]:
        """An attempt is over: learn from it; its energy and carbon, where they are measured.

        The time that it was paused is taken out of ``outcome``.
        """
        running = self._running.pop(outcome.token, None)
        if running is None:
            return {}
        outcome.seconds = max(0.0, outcome.seconds - self._pausing.forget(outcome.token))
        self._done_cpu += outcome.cpu_seconds
        self._needs.pop(running.instance.name, None)
        cost: dict[str, Any] = {}
        if self.meter is not None:
            self._read()
            joules = self._ledger.charge(running.began, self._clock(), outcome.cpu_seconds)
            kwh = joules / JOULES_PER_KWH
            cost = {"energy_kwh": kwh, "carbon_g": kwh * self.intensity, "energy_method": self.meter.method}
        if outcome.ok:
            self.predictor.learn(
                running.instance.name,
                running.instance.step.name,
                {
                    "seconds": outcome.seconds,
                    "cpu_seconds": outcome.cpu_seconds,
                    "peak_mem": outcome.peak_mem,
                    "energy_kwh": cost.get("energy_kwh"),
                },
            )
            self._needs.clear()  # What is known of a step has changed for its other instances.
        elif self._pausing.was_evicted(outcome.token):
            peak = max(running.member.mem, outcome.peak_mem)
            self.predictor.learn(running.instance.name, running.instance.step.name, {"peak_mem": peak})
        return cost

    def spared(self, outcome: Outcome) -> bool:
        """Whether the attempt ended through what the governor did: it has not failed and runs again."""
        return not outcome.ok and self._pausing.excuses(outcome)

    # -- looking -----------------------------------------------------------------------------------------

    def patience(self) -> float | None:
        """Seconds until the next look is due; None: there is nothing to look at."""
        if not self._running:
            return None
        if self.budget.momentary:
            return max(0.0, self._next_look - self._clock())
        return METER_EVERY if self.meter is not None else None

    def look(self, backend: Any) -> None:
        """Look at the machine if that is due, and pause, continue or put back a step if it has to be."""
        now, spent = self._clock(), time.thread_time()
        if self.meter is not None and now - self._last_read > METER_EVERY:
            self._read(force=True)
        if not self.budget.momentary or not self._running or now < self._next_look:
            return
        oldest = min(running.began for running in self._running.values())
        if now - oldest < LOOK_EVERY:
            # What ends at once is not worth a look; it was let in by its prediction.
            self._next_look = oldest + LOOK_EVERY
            return
        self._look(backend)
        members = [running.member for running in self._running.values()]
        load, runnable = measure.load() if self.budget.load is not None else (0.0, 0)
        machine = react.Machine(
            self._tree.total_mem,
            sum(member.cores for member in members if member.paused is None),
            load,
            runnable,
            measure.available_mem() if self.budget.mem is not None else None,
            measure.total_mem(),
        )
        for act, token in react.decide(members, machine, self.budget, self.cores, now):
            running = self._running[token]
            said = self._pausing.do(act, running.member, backend)
            if said:
                reason = ", ".join(react.short_of(self.budget, machine, self.cores))
                self._note(f"{running.instance.name} {said} (beyond the limit: {reason})")
        spent = time.thread_time() - spent
        self._next_look = self._clock() + min(_SELDOM, max(LOOK_EVERY, spent / _MOST_SHARE))

    def _look(self, backend: Any = None) -> None:
        """Measure f0make's processes and divide them among the steps."""
        before, was = self._looked, self._tree
        self._tree = found = measure.tree(os.getpid(), self.budget.mem is not None)
        self._looked = now = self._clock()
        if backend is not None:
            self._pausing.placed = backend.placed()
        of_steps = 0
        for token, running in self._running.items():
            place = self._pausing.placed.get(token)
            member = running.member
            if place is None:
                continue
            pids = found.below(*place)
            member.mem = found.mem_of(pids)
            of_steps += member.mem
            if member.paused is None and now - before > 0.05:
                spent = sum(found.cpu.get(pid, 0.0) - was.cpu.get(pid, 0.0) for pid in pids)
                member.cores = max(0.0, spent) / min(now - before, max(0.05, now - running.began))
        self._base_mem = found.total_mem - of_steps

    # -- energy ------------------------------------------------------------------------------------------

    _last_read = float("-inf")

    def _read(self, force: bool = False) -> None:
        now = self._clock()
        if self.meter is None or (not force and now - self._last_read < READ_EVERY):
            return
        self._last_read = now
        self._ledger.reading(*self.meter.read())

    def _own_busy(self) -> float:
        """CPU seconds of f0make and its steps so far, as far as they are known yet."""
        own, below = _own_cpu()
        known = own - self._own[0] + self._done_cpu
        if self._final:
            return max(known, own - self._own[0] + below - self._own[1])
        return known

    def so_far(self, cores: float) -> dict[str, float | None]:
        """Watts with ``cores`` in use, and kWh of the run so far; None while nothing is metered.

        The watts are the model's: what f0make's own part of a measured machine is, no counter tells.
        """
        if self.meter is None:
            return {"power_w": None, "energy_kwh": None}
        return {"power_w": self.model.joules(1.0, cores), "energy_kwh": self._ledger.total / JOULES_PER_KWH}

    # -- the end -----------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let everything that is paused go on: the run is about to end its steps."""
        self._pausing.release()

    def close(self) -> None:
        """No step runs any more: the last reading."""
        if self.meter is not None and not self._final:
            self._final = True
            self._ledger.reading(*self.meter.stop())
            if self.meter.ended:
                self._note(f"energy: {self.meter.ended}; the rest of the run is counted by the model")

    def fields(self) -> dict[str, Any]:
        """What the summary says of energy; empty when it was not asked for."""
        if not self.budget.metered:
            return {}
        total, overhead = (j / JOULES_PER_KWH for j in (self._ledger.total, self._ledger.overhead))
        return {
            "energy_kwh": total,
            "carbon_g": total * self.intensity,
            "energy_overhead_kwh": overhead,
            "energy_method": self.meter.method if self.meter is not None else "nothing ran",
            "carbon_intensity": self.intensity,
        }

    def rest(self, waiting: Iterable[Instance]) -> Mapping[str, Any]:
        """What ``waiting`` instances are predicted to need, as the summary says it."""
        listed = list(waiting)
        rest = admit.rest((self.need(i) for i in listed), self.intensity, self.jobs)
        return {"instances": len(listed), **{name: round(value, 12) for name, value in rest.items()}}


def _own_cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that are gone."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system

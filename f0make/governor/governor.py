"""The governor of one run: asked before each start, told of each end, and looking at the machine in between.

Lives in the thread of the run; only CodeCarbon has a thread of its own. Instances are known by name and
attempts by token, because the numbers of nodes change when the graph grows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from f0make.governor import account, admit, react
from f0make.governor.account import Account
from f0make.governor.budget import Budget
from f0make.governor.energy_model import PowerModel
from f0make.governor.observation import LOOK_EVERY, Observation
from f0make.governor.pausing import Pausing
from f0make.governor.predict import Need, Predictor
from f0make.governor.running_attempt import Running
from f0make.size_text import size_text

if TYPE_CHECKING:
    from f0make.backends.base import Backend, Capabilities
    from f0make.governor.base import Asking
    from f0make.model import Instance
    from f0make.store.record_store import Store
    from f0make.worker.bundle import Outcome

_ENOUGH_TIME = 1.0
"""Seconds that must be left of the run's time for a step to wait in front of a busy worker."""
_MOST_SHARE = 0.05
"""Share of one core that looking may take; a machine of many processes is looked at more seldom."""
_SELDOM = 1.0
"""Seconds; but never more seldom than this."""


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
        self.intensity = intensity
        self.jobs = jobs
        self.cores = cores
        self.predictor = Predictor(store.stats, store.step_stats, model.kwh)
        self.refused: dict[str, str] = {}
        """Instance -> the sum that it did not fit when it was asked about last."""
        self.account = Account(model, intensity, budget.country, clock, patient=not budget.measure)
        self._began = began
        self._clock = clock
        self._note = note
        self._running: dict[str, Running] = {}
        self._here: dict[str, Running] = {}
        """Those that run on this machine, which alone is limited at every moment."""
        self._needs: dict[str, Need] = {}
        self._started = 0
        self._observed = Observation(budget, clock)
        self._next_look = 0.0
        self._scarce: bool | None = None
        self._pausing = Pausing(clock)
        self._too_large: set[str] = set()
        """Instances that were said to take more memory than the limit by themselves."""
        self._ahead = False
        """Steps may wait in front of busy workers."""

    def govern(self, scheduler: Asking, instance_of: Callable[[int], Instance]) -> None:
        """Be asked by ``scheduler`` about each node that has room, and tell its monitor of power."""
        scheduler.admit = lambda node, here: self.admits(instance_of(node), here=here)
        scheduler.admit_ahead = lambda node: self.admits_ahead(instance_of(node))
        scheduler.so_far = self.account.so_far

    def ahead(self, capabilities: Capabilities) -> int:
        """Only what can be taken back again may wait beyond the slots."""
        return capabilities.ahead if capabilities.can_withdraw else 0

    # -- before a start ----------------------------------------------------------------------------------

    def need(self, instance: Instance) -> Need:
        """What ``instance`` is predicted to take."""
        need = self._needs.get(instance.name)
        if need is None:
            need = self._needs[instance.name] = self.predictor.need(instance)
        return need

    def admits_ahead(self, instance: Instance) -> bool:
        """Whether ``instance`` may be handed over although all slots are busy, and start as soon as one is free.

        Only while everything under way is so young that it can be as short as it was taken for (see `look`).
        """
        now = self._clock()
        if self._here and now - self._oldest() >= LOOK_EVERY:
            return False
        if self.budget.time is not None and self.budget.time - (now - self._began) < _ENOUGH_TIME:
            return False
        if not self.admits(instance, self.jobs - 1):
            return False
        self._ahead = True
        return True

    def _oldest(self) -> float:
        """When the first of what is under way here was started."""
        return next(iter(self._here.values())).began

    def admits(self, instance: Instance, beside: int | None = None, here: bool = True) -> bool:
        """Whether ``instance`` may start now, with all that is under way, or any ``beside`` of it, running then.

        ``here``: on this machine.
        """
        need = self.need(instance)
        if self.budget.sums:
            left, ahead = self._left()
            # The first one counts without idle power: then every run gets somewhere.
            idle = self.account.model.idle_kwh if self._started else 0.0
            name = admit.crosses_sum(left, need, self.intensity, idle, ahead)
            if name:
                self.refused[instance.name] = name
                return False
            self.refused.pop(instance.name, None)
        if not self.budget.momentary or not self._here or not here:
            return True
        load = self._observed.predicted_load(self._here, self._pausing.placed, beside)
        return not admit.crosses_now(self.budget, need, load, self.cores)

    def urgency(
        self, instance: Instance, level: float, unsettled: Callable[[], Iterable[Instance]], slots: int
    ) -> float:
        """How early ``instance`` should go: ``level`` while the sums suffice for all, else the cheapest first.

        Of a sum that is too small for everything, cheap instances let more of the graph be finished.
        """
        if not self.budget.sums:
            return level
        if self._scarce is None:
            rest = admit.rest((self.need(i) for i in unsettled()), self.intensity, self.jobs)
            named = {"time": rest["seconds"], "energy": rest["energy_kwh"], "carbon": rest["carbon_g"]}
            left, _ = self._left()
            self._scarce = any(
                (limit := getattr(left, name)) is not None and asked > limit for name, asked in named.items()
            )
        if not self._scarce:
            return level
        taken = admit.takes(self.need(instance), self.intensity)
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
            from f0make.governor.budget import hopeless

            raise UsageError(hopeless(self.budget, found[0].name, found[1], found[2]))

    def _left(self) -> tuple[admit.Left, float]:
        """What is left of the sums for one more instance: what running ones will still take is spoken for.

        And for how many seconds these are predicted to go on.
        """
        left = admit.Left()
        now = self._clock()
        ahead = 0.0
        for running in self._running.values():
            ahead = max(ahead, running.began + running.seconds - now)
        if self.budget.time is not None:
            left.time = self.budget.time - (now - self._began)
        if self.budget.energy is not None or self.budget.carbon is not None:
            self.account.refresh()
            kwh, live = self.account.kwh + self.account.model.idle_kwh * ahead, self.account.live
            for running in self._running.values():
                # A counter has seen what it took so far; the model counts it when it is over.
                share = (now - running.began) / max(running.seconds, 1e-3) if live else 0.0
                kwh += running.kwh * max(0.0, 1.0 - share)
            if self.budget.energy is not None:
                left.energy = self.budget.energy - kwh
            if self.budget.carbon is not None:
                left.carbon = self.budget.carbon - kwh * self.intensity
        return left, ahead

    # -- starting and ending -----------------------------------------------------------------------------

    def started(self, instance: Instance, token: str, here: bool = True) -> None:
        """The attempt ``token`` of ``instance`` is handed to the backend."""
        if not self._started:
            self._begin()
        need = self.need(instance)
        member = react.Member(token, self._clock(), expected_mem=need.mem.value, cores=need.cores.value)
        running = self._running[token] = Running(instance, need, member)
        if here:
            self._here[token] = running
        self._started += 1

    def _begin(self) -> None:
        """Something really runs from now on."""
        if self.budget.metered:
            self.account.open()
        limit = self.budget.mem
        if limit is not None:
            self._observed.measure(self._here, self._pausing.placed)
            if self._observed.base_mem > limit:
                self._note(
                    f"the memory limit ({size_text(limit)}) is less than f0make alone takes "
                    f"({size_text(self._observed.base_mem)}): one step runs at a time"
                )

    def forget(self, token: str) -> None:
        """The attempt ``token`` could not be handed over after all."""
        self._running.pop(token, None)
        self._here.pop(token, None)

    def ended(self, outcome: Outcome) -> dict[str, Any]:
        """An attempt is over: learn from it; its energy and carbon, where they are measured.

        The time that it was paused is taken out of ``outcome``.
        """
        self._here.pop(outcome.token, None)
        running = self._running.pop(outcome.token, None)
        if running is None:
            return {}
        outcome.seconds = max(0.0, outcome.seconds - self._pausing.forget(outcome.token))
        self._needs.pop(running.instance.name, None)
        cost = self.account.charge(running.began, outcome.cpu_seconds)
        if self.budget.mem is not None and outcome.peak_mem > self.budget.mem and not outcome.host:
            self._tell_too_large(running, outcome.peak_mem)  # It may have been too short to be looked at.
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

    def waive(self, cost: Mapping[str, Any]) -> None:
        """The attempt that was charged ``cost`` was not the last one of its instance: its energy is overhead."""
        self.account.waive(cost)

    def spared(self, outcome: Outcome) -> bool:
        """Whether the attempt ended through what the governor did: it has not failed and runs again."""
        return not outcome.ok and self._pausing.excuses(outcome)

    # -- looking -----------------------------------------------------------------------------------------

    def patience(self) -> float | None:
        """Seconds until the next look is due; None: there is nothing to look at."""
        if not self._running:
            return None
        if self.budget.momentary and self._here:
            due = self._next_look
        elif self.account.running:
            due = self._clock() + account.LATEST
        else:
            due = float("inf")
        if self._some_wait():
            due = min(due, self._oldest() + LOOK_EVERY)
        return max(0.0, due - self._clock()) if due != float("inf") else None

    def _some_wait(self) -> bool:
        """Whether steps wait in front of busy workers."""
        return self._ahead and len(self._here) > self.jobs

    def _must_withdraw(self, now: float) -> bool:
        """Whether what waits must not start on the strength of what was known when it was let in."""
        budget = self.budget
        if now - self._oldest() >= LOOK_EVERY:
            return True
        if budget.time is not None and now - self._began >= budget.time:
            return True
        kwh = self.account.kwh
        if budget.energy is not None and kwh >= budget.energy:
            return True
        return budget.carbon is not None and kwh * self.intensity >= budget.carbon

    def look(self, backend: Backend) -> None:
        """Look at the machine if that is due, and pause, continue or put back a step if it has to be."""
        now = self._clock()
        self.account.refresh(account.LATEST)
        if self._some_wait() and self._must_withdraw(now):
            # The next look is for when they have come back.
            self._ahead = False
            backend.withdraw()
            return
        if not self.budget.momentary or not self._here or now < self._next_look:
            return
        if now - self._oldest() < LOOK_EVERY:
            # What ends at once is not worth a look; it was let in by its prediction.
            self._next_look = self._oldest() + LOOK_EVERY
            return
        spent = time.thread_time()
        self._pausing.placed = backend.placed()
        self._observed.measure(self._here, self._pausing.placed)
        members = [running.member for running in self._here.values()]
        found = self._observed.machine(members)
        for act, token in react.decide(members, found, self.budget, self.cores, now):
            running = self._running[token]
            said = self._pausing.do(act, running.member, backend)
            if said:
                reasons = (react.WORDS[name] for name in react.short_of(self.budget, found, self.cores))
                self._note(f"{running.instance.name} {said}: {', '.join(reasons)}")
        if len(members) == 1 and "mem" in react.short_of(self.budget, found, self.cores):
            alone = next(iter(self._here.values()))
            self._tell_too_large(alone, self._observed.total_mem - self._observed.base_mem)
        spent = time.thread_time() - spent
        self._next_look = self._clock() + min(_SELDOM, max(LOOK_EVERY, spent / _MOST_SHARE))

    def _tell_too_large(self, running: Running, size: float) -> None:
        """Say that a step alone takes ``size`` bytes, beyond the limit: what runs alone is neither paused nor put back."""
        name, limit = running.instance.name, self.budget.mem
        if limit is not None and name not in self._too_large:
            self._too_large.add(name)
            self._note(
                f"{name} alone takes {size_text(size)}, more than the memory limit ({size_text(limit)}); it goes on"
            )

    # -- the end -----------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let everything that is paused go on: the run is about to end its steps."""
        self._pausing.release()

    def close(self) -> None:
        """No step runs any more."""
        for why in self.account.close():
            self._note(f"energy: {why}; the rest of the run is counted otherwise")

    def fields(self) -> dict[str, Any]:
        """What the summary says of energy; empty when it was not asked for."""
        return self.account.fields() if self.budget.metered else {}

    def rest(self, waiting: Iterable[Instance]) -> Mapping[str, Any]:
        """What ``waiting`` instances are predicted to need, as the summary says it."""
        listed = list(waiting)
        rest = admit.rest((self.need(i) for i in listed), self.intensity, self.jobs)
        return {"instances": len(listed), **{name: round(value, 12) for name, value in rest.items()}}

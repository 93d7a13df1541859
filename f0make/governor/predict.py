"""What an instance will need: from its own history, then its step's, then its declaration, then a default. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from f0make.fast_dataclass import dataclass
from f0make.model import DEFAULT_SECONDS

if TYPE_CHECKING:
    from f0make.model import Instance
    from f0make.store.log_index import Stats

OWN_SPREAD = 0.25
"""Relative spread assumed of an instance that ran once: only its last run is remembered."""
DECLARED_SPREAD = 0.5
"""Relative spread of what a recipe declares: people round up."""
DEFAULT_MEM = 256_000_000
"""Bytes where nothing is known; more than a small tool takes, less than most data frames."""
DEFAULT_SPREAD = 1.0
"""Relative spread of a default."""

HISTORY, STEP, DECLARED, DEFAULT = "history", "step", "declaration", "default"
"""Where an estimate is from, best first."""


class Estimate(NamedTuple):
    """A predicted amount with its standard deviation, in the same unit, and where it is from."""

    value: float
    spread: float
    source: str

    @property
    def known(self) -> bool:
        """Whether anything speaks for it but the default."""
        return self.source != DEFAULT


@dataclass(frozen=True, slots=True)
class Need:
    """What one instance is predicted to take."""

    seconds: Estimate
    cpu_seconds: Estimate
    cores: Estimate
    mem: Estimate
    """Bytes at its peak."""
    energy: Estimate
    """Kilowatt hours."""


class Moments:
    """Mean and standard deviation of a growing row of numbers (Welford 1962)."""

    __slots__ = ("count", "mean", "squares")

    def __init__(self, values: Sequence[float] = ()) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """One more number."""
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)

    @property
    def spread(self) -> float:
        """Standard deviation; of a single number `OWN_SPREAD` of it."""
        if self.count < 2:
            return OWN_SPREAD * abs(self.mean)
        return sqrt(max(0.0, self.squares / (self.count - 1)))


_FIELDS = ("seconds", "cpu_seconds", "peak_mem", "energy_kwh")


class Predictor:
    """Predicts from records (``own`` by instance, ``step`` by step name) and from what this run adds.

    ``kwh`` turns CPU seconds into energy where no energy was ever measured.
    """

    def __init__(
        self,
        own: Callable[[str], Stats | None],
        step: Callable[[str], Sequence[Stats]],
        kwh: Callable[[float], float] = lambda cpu_seconds: 0.0,
    ) -> None:
        self._own = own
        self._step = step
        self._kwh = kwh
        self._steps: dict[str, dict[str, Moments]] = {}
        self._learned: dict[str, dict[str, float]] = {}
        self._alike: dict[tuple[object, ...], Need] = {}
        """What instances of a step need of which nothing was ever measured, by what they declare."""

    def learn(self, instance: str, step: str, measures: Mapping[str, float | None]) -> None:
        """``instance`` has just taken ``measures`` (seconds, cpu_seconds, peak_mem, energy_kwh)."""
        self._alike.clear()
        moments = self._moments(step)
        known = {name: value for name, value in measures.items() if value is not None}
        self._learned.setdefault(instance, {}).update(known)
        for name, value in known.items():
            moments[name].add(value)

    def need(self, instance: Instance) -> Need:
        """What ``instance`` will take."""
        measured = self._measures(instance.name)
        if measured:
            return self._estimated(instance, measured)
        key = (instance.step.name, *instance.resources.items())
        known = self._alike.get(key)
        if known is None:
            known = self._alike[key] = self._estimated(instance, measured)
        return known

    def _estimated(self, instance: Instance, measured: Mapping[str, float | None]) -> Need:
        moments = self._moments(instance.step.name)
        resources = instance.resources
        seconds = self._estimate("seconds", measured, moments, None, DEFAULT_SECONDS)
        cores = _declared(resources.get("cpu"))
        cpu = self._estimate(
            "cpu_seconds", measured, moments, None, seconds.value * (cores.value if cores else 1.0)
        )
        if cores is None and cpu.known and seconds.value > 0:
            used = cpu.value / seconds.value
            cores = Estimate(used, used * OWN_SPREAD, cpu.source)
        mem = self._estimate("peak_mem", measured, moments, resources.get("mem"), DEFAULT_MEM)
        energy = self._estimate("energy_kwh", measured, moments, None, 0.0)
        if not energy.known:
            energy = Estimate(self._kwh(cpu.value), self._kwh(cpu.spread), cpu.source)
        return Need(seconds, cpu, cores or Estimate(1.0, DEFAULT_SPREAD, DEFAULT), mem, energy)

    def _measures(self, instance: str) -> Mapping[str, float | None]:
        learned = self._learned.get(instance)
        if learned is not None:
            return learned
        stats = self._own(instance)
        # A record without a duration was imported without its measures: it says nothing.
        if stats is None or not stats.seconds:
            return {}
        return {name: getattr(stats, name) for name in _FIELDS}

    def _moments(self, step: str) -> dict[str, Moments]:
        found = self._steps.get(step)
        if found is None:
            rows = [stats for stats in self._step(step) if stats.seconds]
            found = {}
            for name in _FIELDS:
                found[name] = Moments([v for row in rows if (v := getattr(row, name)) is not None])
            self._steps[step] = found
        return found

    def _estimate(
        self,
        name: str,
        measured: Mapping[str, float | None],
        moments: Mapping[str, Moments],
        declared: float | None,
        default: float,
    ) -> Estimate:
        own, siblings = measured.get(name), moments[name]
        # What is declared beats what was learned for memory: it is what the person vouches for.
        if declared is not None:
            return Estimate(max(declared, own or 0.0), DECLARED_SPREAD * declared, DECLARED)
        if own is not None:
            relative = siblings.spread / siblings.mean if siblings.count > 1 and siblings.mean else OWN_SPREAD
            return Estimate(own, own * relative, HISTORY)
        if siblings.count:
            # The largest of a step may be the next: memory is predicted one deviation above the mean.
            extra = siblings.spread if name == "peak_mem" and siblings.count > 1 else 0.0
            return Estimate(siblings.mean + extra, siblings.spread, STEP)
        return Estimate(default, DEFAULT_SPREAD * default, DEFAULT)


def _declared(amount: float | None) -> Estimate | None:
    return None if amount is None else Estimate(float(amount), DECLARED_SPREAD * amount, DECLARED)

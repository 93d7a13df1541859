"""What the engine asks of a governor, and the one of a run that nothing limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from f0make.fast_dataclass import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.backends.base import Backend, Capabilities
    from f0make.model import Instance
    from f0make.worker.bundle import Outcome


class Asking(Protocol):
    """A scheduler that asks before it lets anything start, and monitors what runs."""

    admit: Callable[[int, bool], bool] | None
    """Whether a ready node that has room, on this machine or not, may start now."""
    admit_ahead: Callable[[int], bool] | None
    """The same for one that is to wait in front of a busy slot."""
    so_far: Callable[[float], dict[str, float | None]] | None
    """Watts with so many cores in use, and kWh until now."""


class Governing(Protocol):
    """Asked before each start, told of each end, and looking at the machine in between."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Instance -> the sum of the budget that it did not fit when it was asked about last."""
        ...

    def govern(self, scheduler: Asking, instance_of: Callable[[int], Instance]) -> None:
        """Be asked by ``scheduler`` about each node that has room."""
        ...

    def ahead(self, capabilities: Capabilities) -> int:
        """How many bundles may wait beyond the slots of a backend."""
        ...

    def urgency(
        self, instance: Instance, level: float, unsettled: Callable[[], Iterable[Instance]], slots: int
    ) -> float:
        """How early ``instance`` should go, of which ``level`` seconds of a chain hang, with ``slots`` to run in."""
        ...

    def refuse_hopeless(self, waiting: Iterable[Instance]) -> None:
        """Raise UsageError when not one of ``waiting`` would fit even an untouched budget."""
        ...

    def started(self, instance: Instance, token: str, here: bool) -> None:
        """The attempt ``token`` of ``instance`` is about to be handed to the backend."""
        ...

    def forget(self, token: str) -> None:
        """The attempt ``token`` could not be handed over after all."""
        ...

    def ended(self, outcome: Outcome) -> dict[str, Any]:
        """An attempt is over; its energy and carbon, where they are measured."""
        ...

    def waive(self, cost: Mapping[str, Any]) -> None:
        """The attempt that ``cost`` that much was not the last one of its instance."""
        ...

    def spared(self, outcome: Outcome) -> bool:
        """Whether the attempt ended through what the governor did: it has not failed and runs again."""
        ...

    def look(self, backend: Backend) -> None:
        """Look at the machine if that is due, and pause, continue or put back a step if it has to be."""
        ...

    def patience(self) -> float | None:
        """Seconds until the next look is due; None: there is nothing to look at."""
        ...

    def release(self) -> None:
        """Let everything that is paused go on: the run is about to end its steps."""
        ...

    def close(self) -> None:
        """No step runs any more."""
        ...

    def fields(self) -> dict[str, Any]:
        """What the summary says of energy; empty when it was not asked for."""
        ...

    def rest(self, waiting: Iterable[Instance]) -> Mapping[str, Any]:
        """What ``waiting`` instances are predicted to need, as the summary says it."""
        ...


class NullGovernor:
    """Limits nothing and measures nothing."""

    refused: Mapping[str, str] = {}

    def govern(self, scheduler: Asking, instance_of: Callable[[int], Instance]) -> None:
        """The scheduler asks nobody."""

    def ahead(self, capabilities: Capabilities) -> int:
        """As many as the backend takes."""
        return capabilities.ahead

    def urgency(
        self, instance: Instance, level: float, unsettled: Callable[[], Iterable[Instance]], slots: int
    ) -> float:
        """The longest chain first; with one slot no order is quicker than another, so the person's counts."""
        return level if slots != 1 else 0.0

    def refuse_hopeless(self, waiting: Iterable[Instance]) -> None:
        """Everything fits."""

    def started(self, instance: Instance, token: str, here: bool) -> None:
        """Nothing to know of it."""

    def forget(self, token: str) -> None:
        """Nothing was known of it."""

    def ended(self, outcome: Outcome) -> dict[str, Any]:
        """Nothing was measured."""
        return {}

    def waive(self, cost: Mapping[str, Any]) -> None:
        """Nothing was charged."""

    def spared(self, outcome: Outcome) -> bool:
        """Nothing was done to it."""
        return False

    def look(self, backend: Backend) -> None:
        """Nothing to look for."""

    def patience(self) -> float | None:
        """No look is ever due."""
        return None

    def release(self) -> None:
        """Nothing is paused."""

    def close(self) -> None:
        """Nothing was opened."""

    def fields(self) -> dict[str, Any]:
        """Nothing to say."""
        return {}

    def rest(self, waiting: Iterable[Instance]) -> Mapping[str, Any]:
        """Nothing is predicted."""
        return {}

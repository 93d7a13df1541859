"""The slots that the instances of a run get: those of one backend, where there is nothing to choose between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from f0make.backends.base import Backend, BackendEvent, SlotsChanged
from f0make.engine.run_state import Listener, RunState
from f0make.model import Instance
from f0make.scheduler import Scheduler
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from f0make.engine.decider import Verdict
    from f0make.engine.fingerprints import Taken
    from f0make.options import Event
    from f0make.plan.key import Parts

PartsOf: TypeAlias = "Callable[[Instance, Sequence[str]], Parts]"


class SlotPool(Listener):
    """``jobs`` slots within ``limits``; an elastic backend's slots take their place. Fingerprints are ``taken`` here."""

    here = ""
    """What events call this machine."""
    at_once = 4
    """Starts that share one write to the log; the first of them waits that long."""
    parked: Sequence[int] = ()
    """Nodes that cannot be decided before hosts have said what their fingerprint commands give."""

    def __init__(self, jobs: int, limits: Mapping[str, float], taken: Taken) -> None:
        self.scheduler = Scheduler(jobs, limits)
        self.fingerprints: Callable[[Instance], Sequence[list[str]]] = taken

    def attach(self, state: RunState, parts_of: PartsOf) -> None:
        """``state`` is that of the run; ``parts_of`` makes the parts of a key with what fingerprint commands gave."""

    @property
    def ready(self) -> bool:
        """It is known where something may start."""
        return True

    def opened(self, backend: Backend) -> None:
        """``backend`` has been started."""
        if backend.capabilities.elastic:
            self.scheduler.resize(backend.slots)

    def take(self, event: BackendEvent) -> None:
        """Something has become of the slots."""
        if isinstance(event, SlotsChanged):
            self.scheduler.resize(event.slots)

    def waits(self) -> bool:
        """Nothing runs, though something is ready: whether slots may yet come for it."""
        return False

    def waits_for_prints(self, node: int, verdict: Verdict) -> bool:
        """Whether ``node`` must wait for fingerprints of other places; its verdict then comes anew."""
        return False

    def place_of(self, node: int) -> str:
        """The host that ``node``, which is to start, was put at; empty for the backend's own slots."""
        return ""

    def keyed(self, node: int, place: str) -> None:
        """``node`` is to run at ``place``: its key holds what was found there."""

    def sent(self, bundle: Bundle) -> None:
        """``bundle`` was handed over."""

    def ended(self, outcome: Outcome) -> None:
        """``outcome`` has come."""

    def ban(self, node: int, host: str) -> bool:
        """Never put ``node`` at ``host`` again, which cannot run it; whether any other place could take it."""
        return False

    def fields(self) -> Event:
        """What the summary says of hosts."""
        return {}

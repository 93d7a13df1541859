"""The backend of a run: made when something is about to start, and started with the first that does."""

from __future__ import annotations

from collections.abc import Callable

from f0make.backends.base import Backend, Tell
from f0make.errors import UnreachableError
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.suspend import Suspension


class LazyBackend:
    """What ``make`` makes. ``tell`` hears of its events; ``opened`` of the start, with the reason when it was in vain."""

    def __init__(
        self, make: Callable[[], Backend], tell: Tell, opened: Callable[[Backend, str], None]
    ) -> None:
        self._make = make
        self._tell = tell
        self._opened = opened
        self._started = False
        self._suspension: Suspension | None = None
        self._known: Backend | None = None
        """None: nothing had to start yet."""

    def made(self) -> Backend:
        """The backend; it need not work yet."""
        if self._known is None:
            self._known = self._make()
        return self._known

    def open(self) -> Backend:
        """The backend, at work. Raises what `Backend.start` raises, but for UnreachableError."""
        backend = self.made()
        if not self._started:
            self._started = True
            why = ""
            try:
                backend.start(self._tell)
            except UnreachableError as error:
                why = str(error)
            self._opened(backend, why)
        return backend

    def travels(self, bundle: Bundle) -> bool:
        """Whether ``bundle`` runs on other files than those of the workspace."""
        return bool(bundle.host) or not self.made().capabilities.shares_workspace

    def suspend(self) -> None:
        """Stop this process together with every step of this machine, until it is continued."""
        from f0make.engine.suspend import Suspension

        self._suspension = self._suspension or Suspension()
        self._suspension.stop_all(self._known.placed() if self._known is not None else {})

    def excuses(self, outcome: Outcome) -> bool:
        """Whether an attempt ran out of time because it was suspended."""
        return self._suspension is not None and self._suspension.excuses(outcome)

    def stop(self, grace: float) -> None:
        """See `Backend.stop`."""
        if self._known is not None:
            self._known.stop(grace)

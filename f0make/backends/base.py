"""What every backend offers, and everything that it may tell: the whole of what the engine knows of one.

A backend takes self-contained bundles and tells of outcomes. It decides nothing: not whether a step must run, not
whether its result counts. `tests/test_backends.py` holds each backend to this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from f0make.fast_dataclass import Protocol, dataclass
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


@dataclass(slots=True, frozen=True)
class Capabilities:
    """What the engine may rely on with one backend; it does not change while the backend lives."""

    ahead: int = 0
    """Bundles that it takes beyond its slots, so that these need not wait for the engine."""
    shares_workspace: bool = True
    """A bundle without a ``host`` runs on the workspace's own files; otherwise it must say by digest what it needs
    (see `remote.needs`), and it may be lost after it has begun."""
    can_withdraw: bool = False
    """What waits beyond the slots can be taken back with `Backend.withdraw`."""
    elastic: bool = False
    """Its slots come and go: `SlotsChanged` tells. There may be more than it runs at one time: it grows by what waits."""
    hosts: tuple[str, ...] = ()
    """Places that a bundle can name as its ``host``; nothing may be submitted to one before `HostNews` of it."""


@dataclass(slots=True)
class SlotsChanged:
    """An elastic backend runs so many bundles at one time from now on."""

    slots: int


@dataclass(slots=True)
class HostNews:
    """What has become of a host."""

    host: str
    status: str
    """``up``, ``left-out``, ``lost``, ``back``; ``gone`` when a lost one is not tried any more."""
    reason: str = ""
    slots: int = 0
    refused: bool = False
    """Its key was."""


@dataclass(slots=True)
class Fingerprints:
    """The answer to `Backend.ask`."""

    number: int
    texts: list[str] | None
    """The output of each command; None when one failed."""
    error: str = ""


@dataclass(slots=True)
class Note:
    """Something that a person should know."""

    text: str


@dataclass(slots=True)
class Lost:
    """Nothing can run any more, for the reason ``why``; every bundle has come back or comes back as lost."""

    why: str


BackendEvent: TypeAlias = "Outcome | SlotsChanged | HostNews | Fingerprints | Note | Lost"
"""Whatever a backend tells, in the order in which it happened."""
Tell: TypeAlias = "Callable[[BackendEvent], None]"


class Backend(Protocol):
    """Where bundles run. All methods are called from the engine's thread only, and return at once but for `start`
    and `stop`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What may be relied on; known before `start`."""
        ...

    @property
    def slots(self) -> int:
        """How many bundles run at one time where bundles without a ``host`` do."""
        ...

    def start(self, tell: Tell) -> None:
        """Get ready. ``tell`` hears of every event, from any thread, until `stop` has returned.

        Raises UnreachableError when there is nothing to run on (what is submitted then is lost), StateError when
        `.f0make` is unusable, and UsageError.
        """
        ...

    def submit(self, bundle: Bundle) -> None:
        """Queue ``bundle``. There is exactly one outcome for it, which is ``lost`` after `stop`.

        After a step has failed nothing that is queued starts before `go_on` or `recall`.
        """
        ...

    def kill(self, token: str) -> None:
        """End one attempt and all its processes; its outcome still arrives."""
        ...

    def go_on(self) -> None:
        """A failure was judged, and what is queued may start; to be called once for each."""
        ...

    def recall(self) -> None:
        """Start nothing more; the outcome of what was queued is ``lost``."""
        ...

    def withdraw(self) -> None:
        """Take back what waits beyond the slots: its outcome is ``lost``. What is submitted later starts as ever.

        To be called only if the capabilities say so.
        """
        ...

    def ask(self, host: str, number: int, commands: Sequence[str], env: Mapping[str, str]) -> None:
        """Have fingerprint ``commands`` run at ``host``: `Fingerprints` with ``number`` tells. A lost host is silent."""
        ...

    def placed(self) -> dict[str, tuple[int, bool]]:
        """Token of each attempt that runs on this machine -> its worker's process id, and whether it runs inside."""
        ...

    def traffic(self, host: str) -> tuple[int, int]:
        """Bytes that went to ``host`` and came from there so far."""
        ...

    def stop(self, grace: float) -> None:
        """End everything: TERM to every process of every step, after ``grace`` seconds KILL; then return.

        There is an outcome for what did not finish, too: it has failed by the signal, or it is ``lost``. Without
        `start`, and a second time, nothing happens.
        """
        ...


class BareBackend:
    """The optional parts of a backend, as one has them that says nothing of them in its capabilities."""

    def withdraw(self) -> None:
        """Nothing can be taken back."""

    def ask(self, host: str, number: int, commands: Sequence[str], env: Mapping[str, str]) -> None:
        """Whom it does not know it cannot ask."""

    def traffic(self, host: str) -> tuple[int, int]:
        """Nothing goes there."""
        return 0, 0

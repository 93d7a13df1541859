"""One slot of the local backend: a worker process of its own, so that a death is one step's only; tokens, and deaths."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection

from f0make.backends.local import process_journal
from f0make.backends.local.jobserver.token_io import Token
from f0make.worker import step_log, system
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.worker_process import WorkerProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.local.jobserver.token_pool import Jobserver


class Slot(WorkerProcess):
    """A worker of this machine; for the backend's thread. How it is started and told: see the two kinds."""

    runs_python = True
    tends_token = False
    """While it lives, the worker itself takes and gives the jobserver's token."""

    def __init__(self) -> None:
        super().__init__()
        self._token: Token | None = None

    @property
    def token(self) -> Token | None:
        """The jobserver's token that is held for the running step."""
        return self._token

    @token.setter
    def token(self, token: Token | None) -> None:
        self._token = token

    def left_group(self, directory: str) -> int:
        """The process group that the worker started last, as its journal says; 0 when not known."""
        entry = process_journal.read(os.path.join(directory, f"worker-{self.pid}"))
        return entry.group if entry is not None else 0

    def died(self) -> int | None:
        """Wait for the worker, which is gone; its exit code (negative: signal), None if unknown."""
        raise NotImplementedError

    def close(self) -> None:
        """Let an idle worker end in order; returns at once."""
        raise NotImplementedError

    def join(self, until: float) -> None:
        """After `close`: wait for the worker to end, until the monotonic time ``until``, then kill it."""
        raise NotImplementedError


class SlotTokens:
    """Takes a token for a slot before its step, gives it back after it. Without a ``jobserver`` none is needed."""

    def __init__(self, jobserver: Jobserver | None) -> None:
        self._jobserver = jobserver
        self.starved = False
        """The jobserver had no token for what is queued: it waits until there is one."""
        self.doubtful = False
        """A step has failed: a make inside it may have kept tokens."""

    @property
    def files(self) -> tuple[int, ...]:
        """Descriptors that forked workers need to take tokens themselves, and those that steps inherit."""
        return (*self._jobserver.watched, *self._jobserver.inherited) if self._jobserver is not None else ()

    def settle(self, idle: bool, slots: Collection[Slot]) -> None:
        """Have all tokens where they belong, if that is in doubt and nothing runs (``idle``, and no slot has one)."""
        if self.doubtful and self._jobserver is not None and idle and all(s.token is None for s in slots):
            self._jobserver.settle()
            self.doubtful = False

    def take(self, slot: Slot) -> bool:
        """Whether ``slot`` may run a step now."""
        if self._jobserver is not None:
            slot.token = self._jobserver.purse.take()
            self.starved = slot.token is None
        return not self.starved

    def give(self, slot: Slot, dead: bool = False) -> None:
        """Give back the token of ``slot``; forked workers do so themselves while they live."""
        if self._jobserver is None:
            return
        token = slot.token if dead or not slot.tends_token else None
        if token is not None:
            slot.token = None
            self._jobserver.purse.give(token)

    def close(self) -> None:
        """Close the jobserver."""
        if self._jobserver is not None:
            self._jobserver.close()


class Obituaries:
    """Remembers how often the kernel had killed for want of memory, to tell whether it did it again."""

    def __init__(self) -> None:
        self._oom = system.oom_kills()

    def of(self, slot: WorkerProcess, bundle: Bundle, code: int | None) -> Outcome:
        """The outcome of ``bundle``, under which ``slot`` has ended with ``code`` (see `died_under`)."""
        kills, self._oom = system.oom_kills() - self._oom, system.oom_kills()
        short = code == -signal.SIGKILL and kills > 0
        hint = "; the kernel killed processes because memory ran out" if short else ""
        outcome = slot.lost_step(bundle, code, hint)
        if bundle.log:
            step_log.adopt(bundle.log, slot.pid)
        return outcome

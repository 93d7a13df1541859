"""The local backend: bundles run on this machine, in workers of loky or, shell steps, in forked ones."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from f0make.backends.base import BareBackend, Capabilities, Tell
from f0make.backends.local import forkserver, process_journal
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_pool import WorkerPool
from f0make.backends.local.worker_settings import Settings
from f0make.errors import StateError
from f0make.worker import inherited_environ, run_marks, system, terminate
from f0make.worker.bundle import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.local.jobserver.token_pool import Jobserver

_LEAVE = 0.8
"""Seconds that idle workers get to end in order."""

_TOKEN = "token"
"""What the selector says when the jobserver has a token."""

_ENDED = "the run ended before it was started"
_WITHDRAWN = "it was taken back before it was started"


class LocalBackend(BareBackend):
    """Runs up to ``jobs`` bundles at one time in ``workspace`` (absolute).

    Steps inherit ``environ``, by default the environment at this moment; ``jobserver`` opens the slots that
    they share with others. One thread listens to the workers and
    does what takes time; the public methods tell it what to do, and hand over shell steps themselves.
    """

    def __init__(
        self,
        jobs: int,
        workspace: str,
        environ: Mapping[str, str] | None = None,
        jobserver: Callable[[], Jobserver | None] = lambda: None,
    ) -> None:
        self._jobs = jobs
        self._workspace = workspace
        self._environ = {
            os.fsencode(k): os.fsencode(v) for k, v in (os.environ if environ is None else environ).items()
        }
        self._open_jobserver = jobserver
        self._watched: tuple[int, ...] = ()
        """Where a token of the jobserver is waited for, while there is none."""
        self._directory = os.path.join(workspace, run_marks.RUN)
        self.capabilities = Capabilities(ahead=jobs, can_withdraw=True)
        self._lock = threading.RLock()
        self._told: deque[str | float] = deque()
        """The token of an attempt to kill, or the grace in seconds to stop with."""
        self._stopped = False
        self._is_open = False
        self._thread: threading.Thread | None = None
        self._tell_engine: Tell = lambda event: None
        self._bell_in, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        self._rung = False
        """Rung, and the backend's thread has not begun to look at what it was told."""

    @property
    def slots(self) -> int:
        """How many bundles run at one time."""
        return self._jobs

    def start(self, tell: Tell) -> None:
        """Get ready; ``tell`` is called from the backend's thread. Raises StateError when `.f0make` is unusable."""
        self._tell_engine = tell
        if not self._is_open:
            self._open()
        self._start_thread()

    def open_early(self, expected: int = 1) -> None:
        """Get ready ahead of `start`, with workers for the ``expected`` first shell steps. Raises StateError.

        There is no thread yet: whoever wants to fork until then may.
        """
        self._open(expected)

    def _open(self, expected: int = 0) -> None:
        try:
            os.makedirs(self._directory, exist_ok=True)
            self._own = run_marks.workspace_id(self._workspace)
            inherited_marker = os.fsdecode(self._environ.get(os.fsencode(run_marks.VARIABLE), b""))
            self._variables = {run_marks.VARIABLE: run_marks.marker(self._workspace, inherited_marker)}
        except OSError as error:
            raise StateError(
                f"{error.filename or self._directory} cannot be used: {error.strerror}"
            ) from None
        inherited_environ.fill_standard_streams()
        self._since = system.now()
        self._was_reaper = system.set_reaper()
        self._journal = process_journal.Journal(self._directory, "run", self._since)
        environ = inherited_environ.for_steps(self._environ, self._workspace, self._variables)
        jobserver, kept = self._open_jobserver(), tuple[int, ...]()
        if jobserver is not None:
            environ[b"MAKEFLAGS"], kept = os.fsencode(jobserver.makeflags), jobserver.inherited
            self._tokens = jobserver.watched
        settings = Settings(self._workspace, environ, os.getpid(), self._since, kept)
        self._pool = WorkerPool(
            self._jobs,
            settings,
            self._variables,
            forkserver.take(),
            lambda outcome: self._tell_engine(outcome),
            jobserver,
        )
        self._pool.workers.expected = expected
        self._early = self._pool.add_slots() if expected else []
        self._is_open = True

    def _start_thread(self) -> None:
        # Threads inherit the mask: this one, loky's and the workers are never hit by Ctrl-C.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, system.SIGNALS)
        try:
            self._thread = threading.Thread(target=self._main, name="local-backend", daemon=True)
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def submit(self, bundle: Bundle) -> None:
        """Queue ``bundle``; returns at once. After `stop` its outcome is ``lost``."""
        with self._lock:
            if self._stopped:
                self._pool.lose(bundle, "the run has ended")
            elif not self._pool.submit(bundle):
                self._ring()

    def kill(self, token: str) -> None:
        """End one attempt and all its processes; its outcome still arrives."""
        self._tell(token)

    def go_on(self) -> None:
        """What is queued may start although a step has failed; to be called once for each that did."""
        with self._lock:
            self._pool.go_on()
        self._ring()

    def recall(self) -> None:
        """Start nothing more; the outcome of what was queued is ``lost``."""
        with self._lock:
            self._pool.end(_ENDED)

    def withdraw(self) -> None:
        """Take back what waits for a busy worker: its outcome is ``lost``. What is submitted later starts as ever."""
        with self._lock:
            self._pool.withdraw(_WITHDRAWN)

    def placed(self) -> dict[str, tuple[int, bool]]:
        """Token of each running attempt -> its worker's process id, and whether the step runs inside of it."""
        with self._lock:
            running = [(slot.bundle, slot.pid) for slot in self._pool.slots]
        return {bundle.token: (pid, False) for bundle, pid in running if bundle and pid}

    def stop(self, grace: float) -> None:
        """End everything; returns within ``grace`` + 1 seconds.

        While steps run or wait: TERM to every process that any step started, daemons included, KILL after
        ``grace`` seconds, and an outcome with ``lost`` for what did not finish. Otherwise the workers are
        sent home. A second call does nothing.
        """
        if self._is_open and self._thread is None:
            self._start_thread()
        thread = self._thread
        if thread is not None:
            self._tell(float(grace))
            thread.join()

    def _tell(self, about: str | float) -> None:
        self._told.append(about)
        self._ring()

    def _ring(self) -> None:
        if self._rung:
            return
        self._rung = True
        try:
            self._bell.send(b"!")
        except OSError:
            pass  # Full: it is ringing already. Closed: the backend has stopped.

    # Everything below runs in the backend's thread.

    def _main(self) -> None:
        try:
            # Workers are started from an empty place: `python -m` looks for modules in the current directory.
            private = system.private_cwd()
            if private:
                os.chdir("/")
            self._pool.workers.importing = inherited_environ.for_workers(self._environ, safe_path=not private)
            with selectors.DefaultSelector() as self._selector:
                self._selector.register(self._bell_in, selectors.EVENT_READ, None)
                for slot in self._early:
                    self._selector.register(slot.line, selectors.EVENT_READ, slot)
                grace = self._loop()
                with self._lock:
                    self._end(grace)
        except BaseException as error:
            with self._lock:
                self._stopped = True
                self._pool.give_up(f"{type(error).__name__}: {error} (an error in f0make itself)")
            raise
        finally:
            self._bell_in.close()
            self._bell.close()

    def _loop(self) -> float:
        while True:
            ready = self._selector.select(self._pool.workers.patience())
            with self._lock:
                for key, _ in ready:
                    if key.data is None:
                        self._bell_in.recv(4096)
                        self._rung = False
                    elif key.data is _TOKEN:
                        self._pool.tokens_there()
                    else:
                        self._hear(key.data)
                while self._told:
                    about = self._told.popleft()
                    if isinstance(about, float):
                        return about
                    self._pool.kill(about)
                self._pool.workers.keep_time()
                self._pool.hand_out()
                for slot in self._pool.add_slots():
                    self._selector.register(slot.line, selectors.EVENT_READ, slot)
                self._watch_tokens(self._pool.tokens.starved)

    def _watch_tokens(self, whether: bool) -> None:
        """Wait for tokens of the jobserver beside everything else, or no more."""
        if whether != bool(self._watched):
            for fd in self._watched:
                self._selector.unregister(fd)
            self._watched = self._tokens if whether else ()
            for fd in self._watched:
                self._selector.register(fd, selectors.EVENT_READ, _TOKEN)

    def _hear(self, slot: Slot) -> None:
        """Read what a worker has sent; nothing is left of that when it was read as another worker was found dead."""
        try:
            data = slot.line.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._pool.take_in(slot, data)
            return
        self._selector.unregister(slot.line)
        self._pool.died(slot, self._own, self._directory)

    # The end.

    def _end(self, grace: float) -> None:
        self._stopped = True
        self._watch_tokens(False)
        pool = self._pool
        busy = pool.end(_ENDED) or any(slot.bundle is not None for slot in pool.slots)
        if busy:
            self._end_steps(grace)
        until = time.monotonic() + _LEAVE
        for slot in pool.slots:
            self._selector.unregister(slot.line)
        pool.dismiss(until)
        pids = pool.workers.pids
        if busy:
            process_journal.end_orphans(set(), self._own, self._since, set(pids))
        pool.give_up("the run ended before it was finished")
        process_journal.forget(self._directory, pids)
        pool.close()
        self._journal.remove()
        if not self._was_reaper:
            system.set_reaper(False)

    def _end_steps(self, grace: float) -> None:
        """TERM, wait while outcomes come in, KILL: every descendant of a worker."""

        def find() -> list[int]:
            self._listen(0)
            slots = self._pool.slots
            return list(terminate.descendants([s.pid for s in slots if s.pid]))

        terminate.end(find, grace, 0.7)
        # What ended by itself may still be on its way as an outcome.
        until = time.monotonic() + 0.2
        while any(s.bundle is not None and s.ready for s in self._pool.slots) and time.monotonic() < until:
            self._listen(0.02)

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is not None:
                self._hear(key.data)

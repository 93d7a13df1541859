"""The local backend: bundles run in loky workers on this machine."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from f0make.errors import StateError
from f0make.execution import ending, frames, groups, host, inherited, steplog
from f0make.execution.bundle import Bundle, Outcome
from f0make.execution.slot import Slot
from f0make.execution.trackers import Trackers
from f0make.execution.worker import Settings

_STARTS = 3
"""How many workers in a row may fail to start before their bundles are given back."""
_LEAVE = 0.8
"""Seconds that idle workers get to end in order."""

Done = Callable[[Outcome], None]


class LocalBackend:
    """Runs up to ``jobs`` bundles at one time in ``workspace`` (absolute).

    Steps inherit ``environ``, by default the environment at this moment. One thread owns the workers; the
    public methods only tell it what to do.
    """

    def __init__(self, jobs: int, workspace: str, environ: Mapping[str, str] | None = None) -> None:
        self._jobs = jobs
        self._workspace = workspace
        self._environ = {
            os.fsencode(k): os.fsencode(v) for k, v in (os.environ if environ is None else environ).items()
        }
        self._directory = os.path.join(workspace, groups.RUN)
        self.ahead = jobs
        """Bundles that may well be submitted beyond ``slots``."""
        self.careful = False
        """When a step fails, nothing that is queued starts before `go_on`."""
        self._told: deque[Bundle | str | float | bool] = deque()
        """A bundle to run, the token of an attempt to kill, the grace in seconds to stop with, or after a failure:
        whether to go on with what is queued."""
        self._held = False
        self._queue: deque[Bundle] = deque()
        self._slots: list[Slot] = []
        self._retired: list[Slot] = []
        self._failed_starts = 0
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._done: Done = lambda outcome: None
        self._bell_in, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        self._rung = False
        """Rung, and the backend's thread has not begun to look at what it was told."""

    @property
    def slots(self) -> int:
        """How many bundles run at one time."""
        return self._jobs

    def start(self, done: Done) -> None:
        """Get ready; ``done`` is called from the backend's thread. Raises StateError when `.f0make` is unusable."""
        self._done = done
        try:
            os.makedirs(self._directory, exist_ok=True)
            self._own = groups.workspace_id(self._workspace)
            variables = {
                groups.VARIABLE: groups.marker(
                    self._workspace, os.fsdecode(self._environ.get(os.fsencode(groups.VARIABLE), b""))
                )
            }
        except OSError as error:
            raise StateError(
                f"{error.filename or self._directory} cannot be used: {error.strerror}"
            ) from None
        inherited.fill_standard_streams()
        self._since = host.now()
        self._was_reaper = host.set_reaper()
        self._journal = groups.Journal(self._directory, "run", self._since)
        self._oom = host.oom_kills()
        self._variables = variables
        environ = inherited.for_steps(self._environ, self._workspace, variables)
        self._settings = Settings(self._workspace, environ, os.getpid(), self._since)
        # Threads inherit the mask: this one, loky's and the workers are never hit by Ctrl-C.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, host.SIGNALS)
        try:
            self._thread = threading.Thread(target=self._main, name="local-backend", daemon=True)
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def submit(self, bundle: Bundle) -> None:
        """Queue ``bundle``; returns at once. After `stop` its outcome is ``lost``."""
        if self._stopped:
            self._lose(bundle, "the run has ended")
        else:
            self._tell(bundle)

    def kill(self, token: str) -> None:
        """End one attempt and all its processes; its outcome still arrives through ``done``."""
        self._tell(token)

    def go_on(self) -> None:
        """What is queued may start although a step has failed."""
        self._tell(True)

    def recall(self) -> None:
        """Start nothing more; the outcome of what was queued is ``lost``."""
        self._tell(False)

    def placed(self) -> dict[str, tuple[int, bool]]:
        """Token of each running attempt -> its worker's process id, and whether the step runs inside of it."""
        running = [(slot.bundle, slot.pid) for slot in list(self._slots)]
        return {bundle.token: (pid, bundle.kind == "python") for bundle, pid in running if bundle and pid}

    def stop(self, grace: float) -> None:
        """End everything; returns within ``grace`` + 1 seconds.

        While steps run or wait: TERM to every process that any step started, daemons included, KILL after
        ``grace`` seconds, and an outcome with ``lost`` for what did not finish. Otherwise the workers are
        sent home. A second call does nothing.
        """
        thread = self._thread
        if thread is not None:
            self._tell(float(grace))
            thread.join()

    def _tell(self, about: Bundle | str | float | bool) -> None:
        self._told.append(about)
        if self._rung:
            return
        self._rung = True
        try:
            self._bell.send(b"!")
        except OSError:
            pass  # Full: it is ringing already. Closed: the backend has stopped.

    # Everything below runs in the backend's thread.

    def _main(self) -> None:
        grace = 0.0
        try:
            # Workers are started from an empty place: `python -m` looks for modules in the current directory.
            private = host.private_cwd()
            if private:
                os.chdir("/")
            self._importing = inherited.for_workers(self._environ, safe_path=not private)
            self._variables.update(self._importing)
            self._trackers = Trackers()
            with selectors.DefaultSelector() as self._selector:
                self._selector.register(self._bell_in, selectors.EVENT_READ, None)
                grace = self._loop()
                self._end(grace)
        except BaseException as error:
            self._collapse(f"{type(error).__name__}: {error} (an error in f0make itself)")
            raise
        finally:
            self._bell_in.close()
            self._bell.close()

    def _loop(self) -> float:
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    self._bell_in.recv(4096)
                    self._rung = False
                else:
                    self._hear(key.data)
            while self._told:
                about = self._told.popleft()
                if isinstance(about, Bundle):
                    self._queue.append(about)
                elif isinstance(about, str):
                    self._kill(about)
                elif isinstance(about, bool):
                    self._held = False
                    while self._queue and not about:
                        self._lose(self._queue.popleft(), "the run ended before it was started")
                else:
                    return about
            self._keep_time()
            self._hand_out()

    def _patience(self) -> float | None:
        """Seconds until the next deadline, None when there is none."""
        times = [t for s in self._slots for t in (s.deadline, s.kill_at) if t is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _keep_time(self) -> None:
        for slot in self._slots:
            now = time.monotonic()
            if slot.kill_at is not None and now >= slot.kill_at:
                slot.kill_step()
            elif slot.deadline is not None and now >= slot.deadline and slot.bundle is not None:
                slot.end_step(f"timed out after {slot.bundle.timeout:g} s")

    def _hand_out(self) -> None:
        for slot in self._slots:
            if not self._queue or self._held:
                return
            if slot.ready and slot.bundle is None and not slot.last:
                slot.send(self._queue.popleft())
        starting = sum(1 for slot in self._slots if not slot.ready)
        while len(self._slots) < self._jobs and starting < len(self._queue):
            if not self._add_slot():
                return
            starting += 1

    def _add_slot(self) -> bool:
        try:
            self._trackers.start(self._importing)
            slot = Slot(self._settings, self._variables)
        except OSError as error:
            self._not_started(str(error))
            return False
        self._slots.append(slot)
        self._selector.register(slot.line, selectors.EVENT_READ, slot)
        return True

    def _not_started(self, why: str) -> None:
        """A worker did not come up: go on with those there are, or give the bundles back."""
        self._failed_starts += 1
        if self._failed_starts < _STARTS:
            time.sleep(0.2 * self._failed_starts)
        elif any(slot.ready for slot in self._slots):
            self._jobs = sum(1 for slot in self._slots if slot.ready)
        else:
            # There is no other place to run them; `lost` would only bring them back.
            self._failed_starts = 0
            while self._queue:
                bundle = self._queue.popleft()
                self._done(Outcome(bundle.token, False, f"no worker process can be started: {why}"))

    def _hear(self, slot: Slot) -> None:
        """Read what a worker has sent."""
        try:
            data = slot.line.recv(1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            self._died(slot)
            return
        for kind, about in slot.inbox.feed(data):
            if kind == frames.READY:
                slot.ready, slot.pid = True, about
                self._failed_starts = 0
            elif kind == frames.FINISHED:
                slot.deadline = None
            else:
                slot.last = kind == frames.LAST_OUTCOME
                self._report(slot, about)

    def _report(self, slot: Slot, outcome: Outcome) -> None:
        bundle, reason = slot.bundle, slot.reason
        slot.done()
        if bundle is not None:
            if reason and not outcome.ok:
                outcome.message = reason
            self._held |= self.careful and not (outcome.ok or outcome.lost)
            if self._queue and not slot.last and not self._held:
                slot.send(self._queue.popleft())
            self._done(outcome)

    def _died(self, slot: Slot) -> None:
        """A worker is gone: end what its step left, report the step, and forget the slot."""
        self._selector.unregister(slot.line)
        self._slots.remove(slot)
        code = slot.died()
        sessions = {slot.pid, slot.left_group(self._directory)} - {0}
        spared = {other.pid for other in self._slots}
        if slot.pid:
            groups.end_orphans(spared, self._own, slot.sent or self._since, sessions)
        slot.close()
        self._retired.append(slot)
        groups.forget(self._directory, [slot.pid])
        if slot.bundle is not None:
            self._held = self.careful
            self._done(self._obituary(slot, slot.bundle, code))
        elif not slot.ready:
            self._not_started(f"it ended with {code}" if code is not None else "it ended at once")

    def _obituary(self, slot: Slot, bundle: Bundle, code: int | None) -> Outcome:
        """The outcome of a bundle whose worker died under it."""
        from f0make.execution.runner import signal_name

        outcome = Outcome(bundle.token, False, started=time.time())
        whose = "" if bundle.kind == "python" else "its worker process was "
        if code is None:
            outcome.message = "its worker process ended for an unknown reason"
        elif code < 0:
            outcome.signal = -code
            outcome.message = f"{whose}killed by {signal_name(-code)}"
            if -code == signal.SIGKILL and host.oom_kills() > self._oom:
                outcome.message += "; the kernel killed processes because memory ran out"
        else:
            outcome.exit_code = code
            outcome.message = f"its process ended with exit code {code} before the step was done"
        self._oom = host.oom_kills()
        if slot.reason:
            outcome.message = slot.reason
        if bundle.log:
            steplog.adopt(bundle.log, slot.pid)
        return outcome

    def _kill(self, token: str) -> None:
        for slot in self._slots:
            if slot.bundle is not None and slot.bundle.token == token:
                slot.end_step()
                return
        for bundle in self._queue:
            if bundle.token == token:
                self._queue.remove(bundle)
                self._lose(bundle, "ended before it was started")
                return

    def _lose(self, bundle: Bundle, why: str) -> None:
        self._done(Outcome(bundle.token, False, why, lost=True, started=time.time()))

    # The end.

    def _end(self, grace: float) -> None:
        self._stopped = True
        self._queue += [about for about in self._told if isinstance(about, Bundle)]
        self._told.clear()
        busy = bool(self._queue) or any(slot.bundle is not None for slot in self._slots)
        while self._queue:
            self._lose(self._queue.popleft(), "the run ended before it was started")
        if busy:
            self._end_steps(grace)
        until = time.monotonic() + _LEAVE
        for slot in self._slots:
            self._selector.unregister(slot.line)
            if not slot.ready:
                host.kill(slot.pid, signal.SIGKILL)
            slot.close()
        for slot in self._slots + self._retired:
            slot.join(until)
        pids = [slot.pid for slot in self._slots + self._retired]
        if busy:
            groups.end_orphans(set(), self._own, self._since, set(pids))
        for slot in self._slots:
            if slot.bundle is not None:
                self._lose(slot.bundle, "the run ended before it was finished")
        self._slots, self._retired = [], []
        groups.forget(self._directory, pids)
        self._trackers.stop()
        self._journal.remove()
        if not self._was_reaper:
            host.set_reaper(False)

    def _end_steps(self, grace: float) -> None:
        """TERM, wait while outcomes come in, KILL: every descendant of a worker, and workers that run python."""

        def find() -> list[int]:
            for key, _ in self._selector.select(0):
                if key.data is not None:
                    self._hear(key.data)
            running = [s.pid for s in self._slots if s.bundle is not None and s.bundle.kind == "python"]
            return [*running, *ending.descendants([s.pid for s in self._slots if s.pid])]

        ending.end(find, grace, 0.7)
        # What ended by itself may still be on its way as an outcome.
        until = time.monotonic() + 0.2
        while any(s.bundle is not None and s.ready for s in self._slots) and time.monotonic() < until:
            for key, _ in self._selector.select(0.02):
                if key.data is not None:
                    self._hear(key.data)

    def _collapse(self, why: str) -> None:
        """An error in this thread: nothing may wait for it for ever."""
        for slot in self._slots:
            if slot.bundle is not None:
                self._lose(slot.bundle, why)
        for bundle in self._queue:
            self._lose(bundle, why)
        for about in self._told:
            if isinstance(about, Bundle):
                self._lose(about, why)

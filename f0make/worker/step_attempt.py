"""One attempt of a python step: what its process is told, when it must end, and what is to be said of it."""

from __future__ import annotations

import marshal
import os
import select
import signal
import time
from collections.abc import Callable, Container, Mapping

from f0make import STATE
from f0make.errors import NO_ROOM
from f0make.worker import system, terminate
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.interpreters import MARSHAL, Ended, Fresh, Warm, ended
from f0make.worker.process import left_of
from f0make.worker.shell_command import Launch
from f0make.worker.step_report import BadReport, Listener, Report

Environ = Mapping[bytes, bytes]

PATIENCE = 10.0
"""Seconds after the return of a step's function in which all of it must have ended."""
_SLACK = 0.5
"""Seconds more, in which the process itself may say what it waits for."""
_LINGER = 3.0
"""Seconds in which a child that writes nothing may end by itself after its step has."""
_LOOK = 0.02
"""Seconds between two looks at what a step has left."""
_AGAIN = 0.1
"""Seconds between two kills, for what was started meanwhile."""
_TOLD = (
    *("module", "function", "args", "workspace", "inputs", "named_inputs", "named_outputs", "resources"),
    *("step", "instance", "attempt", "context", "foreign_keys", "code", "extra"),
)
"""Fields of the bundle that the step's process is told."""


class Attempt:
    """The attempt of ``bundle``, with ``environ``; its process writes to ``log``, and says what it has to say to ``news``."""

    def __init__(
        self, bundle: Bundle, outcome: Outcome, environ: dict[bytes, bytes], log: int, news: int
    ) -> None:
        self.bundle = bundle
        self.outcome = outcome
        self.environ = environ
        self.log = log
        self.since = system.now()
        """Stamp from before the start."""
        self.ended: Ended | None = None
        self._news = news
        self._heard = Listener()
        self._timed_out = False
        self._stuck = ""
        """What did not end in time."""
        self._returned_at: float | None = None
        self._kill_at: float | None = None

    def request(self, there: Environ) -> bytes:
        """What the process is told, which begins with the environment ``there``."""
        bundle, mine = self.bundle, self.environ
        changes: dict[str, str | None] = {}
        if mine != there:
            changes = {
                os.fsdecode(n): os.fsdecode(value) for n, value in mine.items() if there.get(n) != value
            }
            changes.update((os.fsdecode(name), None) for name in there if name not in mine)
        told = {name: getattr(bundle, name) for name in _TOLD}
        outputs = [path for path, _ in bundle.outputs]
        return marshal.dumps({**told, "outputs": outputs, "environ": changes, "patience": PATIENCE}, MARSHAL)

    def launch(self, argv: list[str], request: int, news: int) -> Launch:
        """How to start an interpreter for this step alone; ``request`` is an empty file, ``news`` the step's end."""
        os.write(request, self.request(self.environ))
        os.lseek(request, 0, os.SEEK_SET)
        for fd in (request, news):
            os.set_inheritable(fd, True)
        return Launch(argv[0], [*argv, "once", str(request), str(news)])

    # While it runs.

    def attend(self, pid: int, warm: Warm | None, spared: Container[int]) -> None:
        """Listen until the process ``pid`` has ended; end it when its time is up. It is a child of ``warm``, or ours."""
        fresh = Fresh(pid) if warm is None else None
        poll = select.poll()
        poll.register(self._news, select.POLLIN)
        every = fresh.register(poll) if fresh is not None else None
        if warm is not None:
            poll.register(warm.fileno(), select.POLLIN)
        until = time.monotonic() + self.bundle.timeout if self.bundle.timeout is not None else None
        if warm is not None and warm.has_spoken:
            self.ended = ended(warm.message())
        while self.ended is None:
            for fd, _ in poll.poll(self._pause(until, every)):
                if fd == self._news and not self._listen():
                    poll.unregister(self._news)
                elif warm is not None and fd == warm.fileno():
                    self.ended = ended(warm.message())
                    if self.ended is None:
                        # It was killed. When it is gone for good, its child is this process's, unless it had collected that.
                        poll.unregister(fd)
                        fresh = Fresh(pid, warm.collected(pid))
                        warm.close()
                        warm = None
                        every = fresh.register(poll)
            if fresh is not None:
                self.ended = fresh.ended()
            if self.ended is None:
                until = self._keep_time(until, spared)
        self._listen()

    def _pause(self, until: float | None, every: float | None) -> float | None:
        limit = self._returned_at + PATIENCE + _SLACK if self._returned_at is not None else None
        times = [t for t in (until, limit, self._kill_at) if t is not None]
        pause = max(0.0, min(times) - time.monotonic()) if times else None
        if every is not None:
            pause = every if pause is None else min(pause, every)
        return None if pause is None else pause * 1000 + 1

    def _listen(self) -> bool:
        """Take in what was said; whether there may be more."""
        heard = self._heard
        while True:
            try:
                data = os.read(self._news, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                return False
            heard.feed(data)
        if heard.returned and self._returned_at is None:
            self._returned_at = time.monotonic()
        return True

    def _keep_time(self, until: float | None, spared: Container[int]) -> float | None:
        """End the step when its time is up; the time that is left for it."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._kill_at = now + _AGAIN
                terminate.send(self._processes(spared), signal.SIGKILL)
        elif until is not None and now >= until:
            self._timed_out, self._kill_at = True, now + terminate.TERM_GRACE
            terminate.send(self._processes(spared), signal.SIGTERM)
            return None
        elif self._returned_at is not None and (
            self._heard.stuck or now >= self._returned_at + PATIENCE + _SLACK
        ):
            self._stuck = self._heard.stuck or "its interpreter"
            self._kill_at = now
        return until

    def _processes(self, spared: Container[int]) -> list[int]:
        known = terminate.descendants([os.getpid()])
        return [pid for pid, about in known.items() if about[4] >= self.since - 1 and pid not in spared]

    def wait_for_children(self, pid: int, spared: Container[int]) -> None:
        """After its process has ended: what it left in its session may come to its end.

        While that has a file of the workspace open for writing, the step's result is not whole: it must end in time.
        What does not, a server say, is ended with the step after a while, as what a shell step leaves in the background.
        """
        if not self.ok:
            return
        quiet = time.monotonic()
        returned = self._returned_at if self._returned_at is not None else quiet
        while left := left_of(pid, self.since, False, spared):
            now = time.monotonic()
            writing = next((p for p in left if _writes_in(p, self.bundle.workspace)), None)
            if writing is not None:
                quiet = now
                if now >= returned + PATIENCE:
                    self._stuck = f"its child process {writing}{_command(writing)}"
                    return
            elif now >= quiet + _LINGER:
                text = f"f0make: its child process {left[0]}{_command(left[0])} is still there; it ends with the step\n"
                os.write(self.log, text.encode("utf-8", "backslashreplace"))
                return
            time.sleep(_LOOK)

    # Afterwards.

    @property
    def ok(self) -> bool:
        """Whether nothing is known against it."""
        return not self._judge(Outcome(self.bundle.token, False), lambda number: "")

    def conclude(self, hint: Callable[[int], str]) -> None:
        """Note in the outcome how it went. ``hint``: what may be said beside the number of a signal."""
        outcome, heard, done = self.outcome, self._heard, self.ended
        assert done is not None
        outcome.cpu_seconds, outcome.peak_mem = done.cpu_seconds, done.peak_mem
        outcome.message = self._judge(outcome, hint)
        outcome.ok = not outcome.message
        report = self._report()
        if report is not None:
            outcome.reads, outcome.missing_reads = report.reads, report.missing_reads
            outcome.writes = report.writes
            outcome.python = outcome.python or report.python
        outcome.discovered = self._paths(heard.code)
        outcome.absent = self._paths(heard.absent)

    def _report(self) -> Report | None:
        try:
            return self._heard.report()
        except BadReport:
            return None

    def _judge(self, outcome: Outcome, hint: Callable[[int], str]) -> str:
        """Why it failed, empty on success; with the exit code and the signal, into ``outcome``."""
        code = self.ended.code if self.ended is not None else 0
        if self._timed_out:
            outcome.signal = -code if code < 0 else None
            return f"timed out after {self.bundle.timeout:g} s"
        if self._stuck:
            return f"{self._stuck} did not end within {PATIENCE:g} s of the step's return"
        try:
            report = self._heard.report()
        except BadReport as error:
            return f"what its process says of it cannot be read: {error}"
        after = "" if report is None else " as it ended"
        if code < 0:
            outcome.signal = -code
            return f"killed by {terminate.signal_name(-code)}{after}{hint(-code)}"
        if report is None:
            outcome.exit_code = code
            how = " (by os._exit or exec, or it closed every descriptor)" if code == 0 else ""
            return f"its process ended with exit code {code} before the step was done{how}"
        if report.error:
            outcome.disk_full = report.errno in NO_ROOM
            return report.error.splitlines()[0][:2000] if report.error.splitlines() else "it failed"
        value = report.returned if report.returned is not None else report.exited or 0
        outcome.exit_code = value
        if value not in self.bundle.exit_codes:
            return f"returned {value}" if report.returned is not None else f"exit code {value}"
        return f"exit code {code} as it ended" if code else ""

    def _paths(self, found: Mapping[str, None]) -> list[str]:
        """``found`` (absolute) as paths of the workspace where they lie in it; nothing of f0make's state."""
        given = self.bundle.workspace + "/"
        real = ""
        paths = []
        for path in found:
            if path.startswith(given):
                path = path[len(given) :] or "./"
            else:
                real = real or os.path.realpath(self.bundle.workspace) + "/"
                path = path.removeprefix(real) or "./"
            if path.partition("/")[0] != STATE:
                paths.append(path)
        return paths


def _writes_in(pid: int, workspace: str) -> bool:
    """Whether ``pid`` has a file in ``workspace`` open for writing, where the system tells it; f0make's own do not count."""
    roots = {workspace, os.path.realpath(workspace)}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            if any(path.startswith(f"{r}/") and not path.startswith(f"{r}/.f0make/") for r in roots):
                with open(f"/proc/{pid}/fdinfo/{fd}", "rb") as file:
                    words = file.read(200).split()
                if int(words[words.index(b"flags:") + 1], 8) & os.O_ACCMODE:
                    return True
    except (OSError, ValueError, IndexError):
        pass  # It has ended meanwhile.
    return False


def _command(pid: int) -> str:
    """The beginning of the command line of ``pid``, where the system tells it."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read(200)).replace("\0", " ").strip()
    except OSError:
        return ""
    return f" ({words[:60]})" if words else ""

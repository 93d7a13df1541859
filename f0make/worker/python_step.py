"""Python steps, from the worker's side: each runs in a process of its own, which no other step has touched.

The process is forked from a warm interpreter that has executed no step's code, or, where that is not right, started
afresh. It ends as Python programs end; only then this worker, in which no code of a step ever runs, looks at what the
step has made.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable

from f0make.worker import process, system, terminate
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.interpreters import CannotStart, Interpreters, Warm, options
from f0make.worker.step_attempt import Attempt
from f0make.worker.step_home import Home

FORKS = system.REAPER
"""Whether interpreters fork. Elsewhere their orphans are not found, and macOS's libraries do not bear it."""


class PythonSteps:
    """Runs the python steps of one worker, one after the other.

    ``note`` hears of each process group, ``hint`` says more of a signal that killed one.
    """

    def __init__(self, note: Callable[[int, int, int], None] | None, hint: Callable[[int], str]) -> None:
        self._note = note
        self._hint = hint
        self._interpreters = Interpreters()
        self._home = Home()
        self._io = system.IoCounter()
        self.alone = True
        """Nothing is left of the last step."""
        self.warm: Warm | None = None
        """What the running step was forked from."""

    def rest(self) -> None:
        """End what is kept warm: what runs next must find this process without children."""
        self._interpreters.close()

    def close(self) -> None:
        """Leave nothing behind."""
        self.rest()
        self._home.close()

    def run(self, bundle: Bundle, outcome: Outcome, environ: dict[bytes, bytes], log: int, name: str) -> None:
        """Run the step of ``bundle`` and note in ``outcome`` how it went. ``name`` is this attempt's in this worker.

        What it prints goes to the descriptor ``log``. Raises OSError.
        """
        news, theirs = os.pipe()
        os.set_blocking(news, False)
        attempt = Attempt(bundle, outcome, environ, log, news)
        argv = [_interpreter(bundle), *options(environ)]
        try:
            argv.append(self._home.main(bundle.scratch))
            if bundle.guard:
                self._watched(attempt, argv, theirs, name)
            elif FORKS and not bundle.secrets:  # a warm one would hold its log, and serve others
                self._forked(attempt, argv, theirs)
            else:
                self._fresh(attempt, argv, theirs)
        except CannotStart as error:
            outcome.message, outcome.signal = str(error), error.signal
        else:
            attempt.conclude(self._hint)
        finally:
            self.warm = None
            os.close(news)
            os.close(theirs)

    def _forked(self, attempt: Attempt, argv: list[str], theirs: int) -> None:
        warm = self._interpreters.take(argv, attempt.environ, attempt.log)
        attempt.outcome.python = warm.version
        if warm.single:
            self._interpreters.drop(warm)
            self._fresh(attempt, argv, theirs)
            return
        before = warm.io.read()
        try:
            pid = warm.begin(attempt.request(warm.environ), attempt.bundle.code, attempt.log, theirs)
        except OSError:
            # Something has ended it since: once more, with a new one.
            self._interpreters.drop(warm)
            warm = self._interpreters.take(argv, attempt.environ, attempt.log)
            before = warm.io.read()
            pid = warm.begin(attempt.request(warm.environ), attempt.bundle.code, attempt.log, theirs)
        self.warm = warm
        self._attend(attempt, pid, warm)
        self._measure_io(attempt.outcome, before, warm.io.read())

    def _fresh(self, attempt: Attempt, argv: list[str], theirs: int) -> None:
        """Start an interpreter for this step alone."""
        self.rest()
        before = self._io.read()
        with tempfile.TemporaryFile(dir=attempt.bundle.scratch or None) as file:
            launch = attempt.launch(argv, file.fileno(), theirs)
            pid = process.begin(launch, attempt.environ, attempt.log)
        self._attend(attempt, pid, None)
        self._measure_io(attempt.outcome, before, self._io.read())

    def _watched(self, attempt: Attempt, argv: list[str], theirs: int, name: str) -> None:
        """The same under watch: the interpreter itself starts under it, and has nothing open from before."""
        from f0make.worker.guard.watch_step import Watch

        self.rest()
        before = self._io.read()
        watch = Watch(attempt.bundle, attempt.environ, name)
        try:
            with tempfile.TemporaryFile(dir=attempt.bundle.scratch or None) as file:
                launch = attempt.launch(argv, file.fileno(), theirs)
                pid = watch.start(launch, attempt.environ, attempt.log)
            self._attend(attempt, pid, None)
        finally:
            watch.close(attempt.outcome)
        self._measure_io(attempt.outcome, before, self._io.read())

    def _attend(self, attempt: Attempt, pid: int, warm: Warm | None) -> None:
        if self._note is not None:
            self._note(pid, attempt.since, system.now())
        spared = set(self._interpreters.pids)
        attempt.attend(pid, warm, spared)
        done = attempt.ended
        assert done is not None
        self.alone = system.REAPER and done.alone
        if self.alone:
            return
        attempt.wait_for_children(pid, spared)
        process.end_session(pid, attempt.since, not attempt.ok, spared)
        if warm is None:
            cpu, peak = terminate.reap()
            self.alone = system.REAPER and system.no_children()
        else:
            more = warm.reap()
            self.alone = more is not None and more.alone
            cpu, peak = (more.cpu_seconds, more.peak_mem) if more is not None else (0.0, 0)
            if not self.alone:
                self._interpreters.drop(warm)  # What has become a daemon comes to this process.
        done.cpu_seconds += cpu
        done.peak_mem = max(done.peak_mem, peak)

    @staticmethod
    def _measure_io(outcome: Outcome, before: tuple[int, int], after: tuple[int, int]) -> None:
        outcome.read, outcome.written = after[0] - before[0], after[1] - before[1]


def _interpreter(bundle: Bundle) -> str:
    """The interpreter for ``bundle`` here. What is missing and may not be replaced fails when it is started."""
    if bundle.python and (not bundle.own_python or os.access(bundle.python, os.X_OK)):
        return bundle.python
    return sys.executable

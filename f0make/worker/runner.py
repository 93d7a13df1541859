"""Run one bundle in this process's workspace: log, command, measures, outputs -> outcome."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from collections.abc import Callable, Mapping

from f0make import STATE
from f0make.cache.blobs import Blobs
from f0make.errors import NO_ROOM
from f0make.files import signature
from f0make.worker import collect, process, system
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.mask_secrets import Mask, MaskedLog
from f0make.worker.run_marks import RUN
from f0make.worker.shell_command import CommandError, default_shell, launch
from f0make.worker.step_log import StepLog
from f0make.worker.terminate import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.worker.python_step import PythonSteps

_ROOM = 4 << 20
"""Bytes; how far this process may have grown since its own peak was last read."""
_ENOUGH = 3
"""Samples of a process's memory that say more than the kernel's peak, when that is only this process's own."""


class Runner:
    """Runs bundles one after the other, in the current directory, which is the workspace.

    ``environ`` is what steps inherit; ``note`` hears of each process group that is started.
    """

    def __init__(
        self,
        workspace: str,
        environ: Mapping[bytes, bytes],
        note: Callable[[int, int, int], None] | None = None,
        open_store: Callable[[str], Blobs] = Blobs,
    ) -> None:
        self.workspace = workspace
        signature.probe_path(os.path.join(workspace, STATE, "lock"))
        self.environ = dict(environ)
        self._note = note
        path = self.environ.get(b"PATH")
        self._shell = default_shell(os.fsdecode(path) if path is not None else None)
        self._collector = collect.Collector(open_store)
        self._io = system.IoCounter()
        self._log = StepLog()
        self._alone = True
        """Nothing that an earlier step started is left."""
        self._count = itertools.count(1)
        self._floor = system.own_peak()
        self._oom = system.oom_kills()
        self._steps: PythonSteps | None = None
        self._running: str | None = None
        self._sampled = self._samples = 0

    @property
    def alone(self) -> bool:
        """Whether nothing is left of the last step, not even a daemon, as far as this system tells."""
        return self._alone

    def sample(self) -> None:
        """Look at the memory of the running step; to be called now and then from another thread."""
        kind = self._running
        if kind is not None:
            self._log.publish()
            warm = self._steps.warm if self._steps is not None else None
            memory = system.tree_memory(warm.pid if warm is not None else os.getpid(), False)
            if self._running is kind:
                self._sampled = max(self._sampled, memory)
                self._samples += 1

    def run(self, bundle: Bundle) -> Outcome:
        """Run ``bundle``; never raises."""
        outcome = Outcome(bundle.token, False, started=time.time())
        try:
            log = self._log.begin(bundle.log)
        except OSError as error:
            outcome.message = f"its log {bundle.log!r} cannot be written: {error.strerror}"
            outcome.disk_full = error.errno in NO_ROOM
            return outcome
        mask = Mask(bundle.secrets.values()) if bundle.secrets else None
        try:
            if mask is None:
                self._measured(bundle, outcome, log)
            else:
                masked = MaskedLog(log, mask)
                try:
                    self._measured(bundle, outcome, masked.fd)
                finally:
                    masked.close()
                if mask.names_in(outcome.writes):
                    collect.fail(
                        outcome, "it sets a context value that holds a secret, which would be stored"
                    )
            if outcome.ok:
                self._collector.collect(bundle, outcome)
            if outcome.strays:
                from f0make.worker.guard import watch_step as watch

                watch.judge(bundle, outcome)
            if not outcome.ok and not outcome.disk_full:
                outcome.disk_full = collect.full(self.workspace)
        except Exception as error:
            collect.fail(outcome, f"{type(error).__name__}: {error} (an error in f0make itself; see the log)")
            _explain(log)
        finally:
            self._log.end(self._alone)
            if mask is not None:
                outcome.message = mask.text(outcome.message)
        return outcome

    def close(self) -> None:
        """Leave nothing behind."""
        self._log.close()
        if self._steps is not None:
            self._steps.close()

    def _measured(self, bundle: Bundle, outcome: Outcome, log: int) -> None:
        read, written = self._io.read()
        began = time.perf_counter()
        self._samples, self._sampled, self._running = 0, 0, bundle.kind
        try:
            if bundle.kind == "python":
                self._python(bundle, outcome, log)
            else:
                self._shell_step(bundle, outcome, log)
        finally:
            self._running = None
        outcome.seconds = time.perf_counter() - began
        if bundle.kind == "python":
            return
        read_now, written_now = self._io.read()
        outcome.read, outcome.written = read_now - read, written_now - written

    # Shell steps.

    def _shell_step(self, bundle: Bundle, outcome: Outcome, log: int) -> None:
        if self._steps is not None:
            self._steps.rest()
        environ = self._environ_of(bundle)
        scratch = bundle.scratch or os.path.join(self.workspace, RUN)
        name = f"{os.getpid()}-{next(self._count)}"
        script = os.path.join(scratch, f"script-{name}")
        start = watch = None
        try:
            start = launch(bundle.command or "", bundle.shell, self._shell, environ, script)
            if start.otherwise is not None:
                environ[b"_"] = os.fsencode(start.program)  # as bash tells every program its own path
            if bundle.guard:
                from f0make.worker.guard.watch_step import Watch

                watch = Watch(bundle, environ, name)
            ended = process.run(
                start,
                environ,
                log,
                bundle.timeout,
                self._note,
                bundle.exit_codes,
                watch.start if watch is not None else None,
            )
        except CommandError as error:
            outcome.exit_code, outcome.message = error.code, str(error)
            _write(log, f"f0make: {error}\n")
            return
        except OSError as error:
            outcome.message = f"it cannot be started: {_reason(error)}"
            outcome.disk_full = error.errno in NO_ROOM
            _write(log, f"f0make: {outcome.message}\n")
            return
        finally:
            if watch is not None:
                watch.close(outcome)
            if start is not None and start.script is not None:
                os.unlink(start.script)
        self._alone = ended.alone
        outcome.cpu_seconds = ended.cpu_seconds
        if self._samples >= _ENOUGH and ended.peak_mem <= self._floor + _ROOM:
            outcome.peak_mem = self._sampled
        else:
            outcome.peak_mem = max(ended.peak_mem, self._sampled)
        if ended.code < 0:
            outcome.signal = -ended.code
        else:
            outcome.exit_code = ended.code
        if ended.timed_out:
            outcome.message = f"timed out after {bundle.timeout:g} s"
        elif ended.code < 0:
            outcome.message = f"killed by {signal_name(-ended.code)}{self._memory_hint(-ended.code)}"
        elif ended.code not in bundle.exit_codes:
            outcome.message = f"exit code {ended.code}{self._exit_hint(ended.code)}"
        outcome.ok = not outcome.message

    def _environ_of(self, bundle: Bundle) -> dict[bytes, bytes]:
        environ = dict(self.environ)
        environ[b"F0MAKE_CPUS"] = b"%g" % bundle.cpus
        for name, value in (*bundle.env.items(), *bundle.secrets.items()):
            environ[os.fsencode(name)] = os.fsencode(value)
        return environ

    def _exit_hint(self, code: int) -> str:
        """A shell tells the signal that killed its command as 128 + n (bash(1), "Exit Status")."""
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return ""
        return f" (128+{code - 128}: something in it was killed by {name}{self._memory_hint(code - 128)})"

    def _memory_hint(self, signum: int) -> str:
        if signum != signal.SIGKILL:
            return ""
        kills, self._oom = system.oom_kills() - self._oom, system.oom_kills()
        return "; the kernel killed processes because memory ran out" if kills > 0 else ""

    # Python steps.

    def _python(self, bundle: Bundle, outcome: Outcome, log: int) -> None:
        if self._steps is None:
            from f0make.worker.python_step import PythonSteps

            self._steps = PythonSteps(self._note, self._memory_hint)
        name = f"{os.getpid()}-{next(self._count)}"
        try:
            self._steps.run(bundle, outcome, self._environ_of(bundle), log, name)
        except OSError as error:
            collect.fail(outcome, f"it cannot be started: {_reason(error)}")
            outcome.disk_full = error.errno in NO_ROOM
            _write(log, f"f0make: {outcome.message}\n")
        self._alone = self._steps.alone
        outcome.peak_mem = max(outcome.peak_mem, self._sampled)


def _reason(error: OSError) -> str:
    if error.errno == errno.E2BIG:
        return "its arguments and environment together are longer than the system allows"
    return error.strerror or str(error)


def _write(log: int, text: str) -> None:
    try:
        os.write(log, os.fsencode(text))
    except OSError:
        pass


def _explain(log: int) -> None:
    import traceback

    _write(log, traceback.format_exc())

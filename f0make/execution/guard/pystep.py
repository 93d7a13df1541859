"""A python step under watch: in a fork of the worker, which itself must go on to open what it likes."""

from __future__ import annotations

import os
import pickle
import signal

from f0make.execution import pystep
from f0make.execution.bundle import Bundle, Outcome
from f0make.execution.guard import watched
from f0make.execution.guard.watch import Watch

_RESULT = ("ok", "message", "exit_code", "signal", "disk_full", "reads", "missing_reads", "writes")


def run_watched(
    bundle: Bundle, outcome: Outcome, environ: dict[bytes, bytes], output: int, name: str
) -> None:
    """As `pystep.run`, in a process of its own. Raises what that raises."""
    from f0make.execution.runner import signal_name

    watch = Watch(bundle, environ, name)

    def work() -> bytes:
        pystep.run(bundle, outcome, environ, output)
        return pickle.dumps({field: getattr(outcome, field) for field in _RESULT})

    pid = 0
    try:
        pystep.interruptible(True)
        pid, line = watch.call(work)
        told = watched.result(line)
        pystep.interruptible(False)
        _, status = os.waitpid(pid, 0)
        pid = 0
        if told:
            for field, value in pickle.loads(told).items():
                setattr(outcome, field, value)
        else:
            code = os.waitstatus_to_exitcode(status)
            outcome.signal = -code if code < 0 else None
            died = f"killed by {signal_name(-code)}" if code < 0 else f"its process ended with {code}"
            outcome.ok, outcome.message = False, died
    finally:
        pystep.interruptible(False)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        watch.close(outcome)

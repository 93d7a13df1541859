"""What to say of a step whose worker died under it."""

from __future__ import annotations

import signal
import time

from f0make.worker import step_log, system
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.terminate import signal_name


class Obituaries:
    """Remembers how often the kernel had killed for want of memory, to tell whether it did it again."""

    def __init__(self) -> None:
        self._oom = system.oom_kills()

    def of(self, bundle: Bundle, pid: int, code: int | None, reason: str) -> Outcome:
        """The outcome of ``bundle``, whose worker ``pid`` ended with ``code`` (negative: signal; None: unknown).

        ``reason`` is why f0make had told it to end, if it had.
        """
        outcome = Outcome(bundle.token, False, started=time.time())
        if code is None:
            outcome.message = "its worker process ended for an unknown reason"
        elif code < 0:
            outcome.signal = -code
            outcome.message = f"its worker process was killed by {signal_name(-code)}"
            if -code == signal.SIGKILL and system.oom_kills() > self._oom:
                outcome.message += "; the kernel killed processes because memory ran out"
        else:
            outcome.exit_code = code
            outcome.message = f"its process ended with exit code {code} before the step was done"
        self._oom = system.oom_kills()
        if reason:
            outcome.message = reason
        if bundle.log:
            step_log.adopt(bundle.log, pid)
        return outcome

"""Stop the steps of this machine together with f0make on Ctrl-Z, and continue them with it.

Steps run in sessions of their own, so the terminal's SIGTSTP does not reach them.
"""

from __future__ import annotations

import os
import signal

from f0make.worker import system, terminate
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.governor.guardian import Guardian

_ROUNDS = 5
"""How often the workers are searched for processes that were started while others were being stopped."""


class Suspension:
    """What was stopped together with f0make, and which attempts lost time by it."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._guardian: Guardian | None = None

    def stop_all(self, placed: dict[str, tuple[int, bool]]) -> None:
        """Stop the workers in ``placed`` (token -> process id, runs inside) and their steps, then this process.

        Returns when this process was continued, and with it everything that had been stopped here.
        """
        stopped = self._stop(sorted({worker for worker, _ in placed.values()}))
        self._tokens.update(placed)
        os.kill(os.getpid(), signal.SIGSTOP)
        for pid in reversed(stopped):
            system.kill(pid, signal.SIGCONT)
        if self._guardian is not None:
            self._guardian.dismiss()

    def excuses(self, outcome: Outcome) -> bool:
        """Whether an attempt ran out of time because it was stopped."""
        return outcome.token in self._tokens and outcome.message.startswith("timed out")

    def _stop(self, workers: list[int]) -> list[int]:
        from f0make.governor.guardian import Guardian

        stopped: list[int] = []
        for _ in range(_ROUNDS):
            known = system.everyone()
            found = [pid for pid in workers if pid in known] + list(terminate.descendants(workers, known))
            # What is stopped already (by the governor, by a person) is not to be continued with the rest.
            new = [pid for pid in found if pid not in stopped and known[pid][0] != "T"]
            if not new:
                break
            stopped += new
            try:
                # Were f0make killed now, workers that are stopped could not notice it.
                self._guardian = self._guardian or Guardian()
                self._guardian.tell(stopped)
            except OSError:
                return stopped[: -len(new)]
            for pid in new:
                system.kill(pid, signal.SIGSTOP)
        return stopped

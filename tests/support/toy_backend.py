"""The smallest backend: one slot on this machine, and a process for each bundle."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading

from f0make.backends.base import BareBackend, Capabilities, Tell
from f0make.worker import terminate
from f0make.worker.bundle import Bundle, Outcome

CHILD = """
import os, pickle, sys
from f0make.worker import runner, system
system.set_reaper()
bundle = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(runner.Runner(bundle.workspace, os.environb).run(bundle)))
"""


class ToyBackend(BareBackend):
    capabilities = Capabilities()
    slots = 1

    def __init__(self) -> None:
        self._waiting: list[Bundle] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._held = self._over = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self, tell: Tell) -> None:
        self._tell = tell
        self._thread.start()

    def submit(self, bundle: Bundle) -> None:
        self._update(self._held, self._over, [*self._waiting, bundle])

    def kill(self, token: str, grace: float = 0.0) -> None:
        pids = [self._running[token].pid] if token in self._running else []
        terminate.end(lambda: terminate.descendants(pids), grace)

    def go_on(self) -> None:
        self._update(False, self._over, self._waiting)

    def recall(self) -> None:
        self._update(False, True, self._waiting)

    def placed(self) -> dict[str, tuple[int, bool]]:
        return {token: (process.pid, False) for token, process in self._running.items()}

    def stop(self, grace: float) -> None:
        if self._thread.is_alive():
            self.recall()
            for token in list(self._running):
                self.kill(token, grace)
            self._thread.join()

    def _update(self, held: bool, over: bool, waiting: list[Bundle]) -> None:
        with self._change:
            self._held, self._over, self._waiting = held, over, [] if over else waiting
            self._change.notify()
        for bundle in waiting if over else ():
            self._tell(Outcome(bundle.token, False, "the run has ended", lost=True))

    def _main(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._over or (self._waiting and not self._held))
                if self._over:
                    return
                bundle = self._waiting.pop(0)
                child = subprocess.Popen([sys.executable, "-c", CHILD], 0, None, -1, -1, cwd=bundle.workspace)
                self._running[bundle.token] = child
            outcome = pickle.loads(child.communicate(pickle.dumps(bundle))[0])
            del self._running[bundle.token]
            self._held = not outcome.ok
            self._tell(outcome)

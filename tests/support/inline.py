"""A backend without processes of its own: the real runner, in this process, so that many runs are quick."""

from __future__ import annotations

import os
from typing import Any

from f0make.backends.base import BareBackend, Capabilities, Tell
from f0make.executor import Executor
from f0make.worker.bundle import Bundle
from f0make.worker.runner import Runner


class InlineBackend(BareBackend):
    """Runs each bundle when it is submitted."""

    capabilities = Capabilities()
    slots = 1

    def __init__(self, workspace: str) -> None:
        self._runner = Runner(workspace, os.environb)
        self._workspace = workspace

    def open_early(self, expected: int) -> None:
        pass

    def start(self, tell: Tell) -> None:
        self._tell = tell

    def submit(self, bundle: Bundle) -> None:
        before = os.getcwd()
        os.chdir(self._workspace)
        try:
            outcome = self._runner.run(bundle)
        finally:
            os.chdir(before)
        self.finished()
        self._tell(outcome)

    def finished(self) -> None:
        """What subclasses do between a step's end and the news of it."""

    def go_on(self) -> None:
        """Nothing waits."""

    def recall(self) -> None:
        """Nothing waits."""

    def placed(self) -> dict[str, tuple[int, bool]]:
        return {}

    def kill(self, token: str) -> None:
        raise AssertionError("nothing is ever under way")

    def stop(self, grace: float) -> None:
        self._runner.close()


class InlineExecutor(Executor):
    """The executor of the command line but for its backend."""

    def __init__(self, workspace: str, reporter: Any = None, **options: Any) -> None:
        super().__init__(None, reporter, workspace=workspace, jobs=1, **options)

    def _local(self, jobs: int) -> Any:
        return InlineBackend(self.workspace)

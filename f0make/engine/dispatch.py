"""Starting what is ready and has room, and the backend that takes it, which is opened for the first of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop

from f0make.engine.node_state import State
from f0make.engine.output_files import ProtectedOutput
from f0make.engine.prefetch import Pace
from f0make.engine.rerender import CannotAttempt
from f0make.errors import UnreachableError
from f0make.worker.bundle import Backend, Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.engine.run import Run

_AT_ONCE = 4
"""Starts that share one write to the log; the first of them waits that long."""


class Starting:
    """Hands the ready nodes of ``run`` to the backend that ``new_backend`` makes."""

    def __init__(self, run: Run, new_backend: Callable[[], Backend]) -> None:
        self._run = run
        self._new_backend = new_backend
        self.backend: Backend | None = None
        """None: nothing had to start yet."""
        self.pace = Pace(run)
        self._ahead = 0
        """How many bundles the backend takes beyond its slots (it gives them back when a step fails)."""

    def what_fits(self) -> None:
        """Start every ready node that there is room for."""
        run = self._run
        now = time.monotonic()
        while run.due and run.due[0][0] <= now:
            _, waited = heappop(run.due)
            if run.progress.state[waited] is State.READY:
                run.enqueue(waited)
        if run.farm is not None and len(run.scheduler):
            self.open()
            if not run.farm.ready:
                return
        # With hosts, what has started decides where the next one may.
        at_once = _AT_ONCE if run.farm is None else 1
        prepared: dict[int, Bundle] = {}
        while len(run.scheduler) and not run.stopping() and not (run.ranked and run.asking):
            node = self._next()
            if node is None:
                break
            if run.temps.bring_back(node):
                run.scheduler.end(node)
                continue
            try:
                prepared[node] = self._prepare(node)
            except OSError as error:
                run.scheduler.end(node)
                run.os_error(node, error)
            except (ProtectedOutput, CannotAttempt) as error:
                run.scheduler.end(node)
                run.fail(node, str(error))
            if len(prepared) >= at_once:
                self._submit(prepared)
                prepared = {}
        self._submit(prepared)

    def _next(self) -> int | None:
        run = self._run
        found = run.scheduler.pop(run.demands)
        if found is None and self._ahead and not run.ranked:
            found = run.scheduler.pop_ahead(self._ahead, run.demands, self.pace.may_wait)
        return found

    def _prepare(self, node: int) -> Bundle:
        """Make room for ``node``, and note that it starts. Raises OSError, ProtectedOutput, CannotAttempt."""
        run = self._run
        context: dict[str, Any] = {}
        foreign: dict[str, str] = {}
        if run.graph.instances[node].step.type == "python":
            context, foreign = run.contexts.view(node), run.foreign(node)
        bundle = run.attempts.prepare(node, context, foreign)
        run.progress.state[node] = State.RUNNING
        if run.governor is not None:
            # Not only when it is handed over: what the budget lets start beside it must know of it.
            run.governor.started(run.graph.instances[node], bundle.token, here=not bundle.host)
        return bundle

    def _submit(self, prepared: dict[int, Bundle]) -> None:
        """Start ``prepared`` bundles by node, when the log says so on disk."""
        if not prepared:
            return
        run = self._run
        try:
            backend = self.open()
            run.session.store.flush()
        except OSError as error:
            for node, bundle in prepared.items():
                run.scheduler.end(node)
                if run.governor is not None:
                    run.governor.forget(bundle.token)
                run.os_error(node, error)
            return
        for bundle in prepared.values():
            run.reporter.running(bundle.instance, bundle.attempt, bundle.host)
            backend.submit(bundle)
            if run.farm is not None:
                run.farm.sent(bundle)

    # -- the backend -------------------------------------------------------------------------------------

    def open(self) -> Backend:
        """The backend, which begins to work when it is first needed."""
        run = self._run
        if self.backend is None:
            self.backend = self._new_backend()
            self._ahead = getattr(self.backend, "ahead", 0)
            if self._ahead or run.farm is not None:
                self.backend.careful = True  # type: ignore[attr-defined]
            if run.governor is not None and hasattr(self.backend, "withdraw"):
                run.scheduler.admit_ahead = run.admits_ahead
            if run.farm is not None:
                run.farm.start(self.backend)
            elif run.elsewhere:
                self._join_cluster()
            else:
                self.backend.start(run.inbox.put)
        return self.backend

    def after_failure(self) -> None:
        """A step has failed, and the backend starts nothing more until it is told whether the run goes on."""
        backend: Any = self.backend
        if not self._ahead and self._run.farm is None:
            return
        if self._run.stopping():
            backend.recall()
        else:
            backend.go_on()

    def _join_cluster(self) -> None:
        backend: Any = self.backend
        try:
            backend.start(self._run.inbox.put)
        except UnreachableError as error:
            backend.failure = error
        self.hear_cluster()

    def hear_cluster(self) -> None:
        """A cluster's slots come and go, and it has things to say; that it is lost ends the run."""
        run = self._run
        backend: Any = self.backend
        if backend is None or not run.elsewhere:
            return
        while not backend.notes.empty():
            run.reporter.note(backend.notes.get())
        run.scheduler.resize(backend.slots)
        if backend.failure is not None:
            run.unreachable = str(backend.failure)

"""Starting what is ready and has room."""

from __future__ import annotations

from collections.abc import Callable

from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.output_files import ProtectedOutput
from f0make.engine.prepare import Preparation
from f0make.engine.rerender import CannotAttempt
from f0make.engine.run_state import RunState
from f0make.engine.slot_pool import SlotPool
from f0make.options import Reporter
from f0make.store.record_store import Store
from f0make.worker.bundle import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.governor.base import Governing


class Dispatcher:
    """Hands ready nodes to the backend.

    ``bring_back`` brings back what a node reads and what is only promised, and tells whether the node must wait for that.
    """

    def __init__(
        self,
        state: RunState,
        preparation: Preparation,
        pool: SlotPool,
        backend: LazyBackend,
        *,
        store: Store,
        governor: Governing,
        reporter: Reporter,
        bring_back: Callable[[int], bool],
    ) -> None:
        self._state = state
        self._preparation = preparation
        self._pool = pool
        self._backend = backend
        self._store = store
        self._governor = governor
        self._reporter = reporter
        self._bring_back = bring_back

    def dispatch(self, hold: bool) -> None:
        """Start every ready node that there is room for; ``hold``: not before more is known of what will be ready."""
        state = self._state
        state.wake()
        if not len(state.ready) or state.stopping:
            return
        if not self._pool.ready:
            self._backend.open()
        if hold or not self._pool.ready:
            return
        ahead = self._governor.ahead(self._backend.made().capabilities)
        prepared: dict[int, Bundle] = {}
        while not state.stopping and (node := state.ready.pop(ahead)) is not None:
            bundle = self._prepare(node)
            if bundle is not None:
                prepared[node] = bundle
            if len(prepared) >= self._pool.at_once:
                self._submit(prepared)
                prepared = {}
        self._submit(prepared)

    def _prepare(self, node: int) -> Bundle | None:
        """The bundle of ``node``, which has a slot; None, and no slot, where it cannot start."""
        state = self._state
        try:
            if self._bring_back(node):
                state.ready.end(node)
                return None
            instance = state.graph.instances[node]
            known = state.attempts.newest(instance.name)
            if known is not None and known.number > 0:
                self._governor.waive(known.cost)
            bundle = self._preparation.prepare(node)
        except OSError as error:
            state.ready.end(node)
            state.fail_by_error(node, error)
            return None
        except (ProtectedOutput, CannotAttempt) as error:
            state.ready.end(node)
            state.fail(node, str(error))
            return None
        state.begin(node)
        # Not only when it is handed over: what the budget lets start beside it must know of it.
        self._governor.started(instance, bundle.token, here=not bundle.host)
        return bundle

    def _submit(self, prepared: dict[int, Bundle]) -> None:
        """Start ``prepared`` bundles by node, when the log says so on disk."""
        if not prepared:
            return
        try:
            backend = self._backend.open()
            self._store.flush()
        except OSError as error:
            for node, bundle in prepared.items():
                self._state.ready.end(node)
                self._governor.forget(bundle.token)
                self._state.fail_by_error(node, error)
            return
        for bundle in prepared.values():
            self._reporter.running(bundle.instance, bundle.attempt, bundle.host)
            backend.submit(bundle)
            self._pool.sent(bundle)

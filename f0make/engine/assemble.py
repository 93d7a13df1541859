"""Putting a run together: each part is given what it works with, and knows none of the others but by what it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from f0make.backends.base import Backend, BackendEvent
from f0make.engine.attempts import Attempts
from f0make.engine.check_result import ResultCheck
from f0make.engine.commit_result import Commit
from f0make.engine.completion import Completion
from f0make.engine.decider import Verdict
from f0make.engine.dispatch import Dispatcher
from f0make.engine.dynamic_graph import DynamicGraph
from f0make.engine.event_buffer import EventBuffer
from f0make.engine.fingerprints import Taken
from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.output_files import Outputs
from f0make.engine.pending_lookups import PendingLookups
from f0make.engine.prepare import Preparation
from f0make.engine.promised_tokens import Tokens
from f0make.engine.ready_queue import ReadyQueue
from f0make.engine.rerender import next_resources
from f0make.engine.resolve import Resolver
from f0make.engine.run import Run
from f0make.engine.run_state import RunState, Stop, StopReason
from f0make.engine.slot_pool import SlotPool
from f0make.engine.temp_outputs import TempOutputs
from f0make.fast_dataclass import dataclass
from f0make.options import Reporter, RunOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.ssh.host import Host
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.engine.label_check import Places
    from f0make.governor.base import Governing
    from f0make.workset import Workset


@dataclass(slots=True)
class Means:
    """Everything beside the opened recipe, what was asked for, and who is told."""

    run_id: str
    jobs: int
    hosts: Sequence[Host]
    backend: Callable[[], Backend]
    """Makes it, when something must run."""
    places: Callable[[], Places]
    """Tells where steps may run."""
    blobs: Blobs | None
    shared: ForPlatform | None
    governor: Governing


@dataclass(slots=True)
class _Parts:
    """What dispatch and completion are given."""

    session: Workset
    options: RunOptions
    reporter: Reporter
    means: Means
    state: RunState
    pool: SlotPool
    backend: LazyBackend
    tokens: Tokens
    outputs: Outputs
    resolver: Resolver


def assemble(session: Workset, options: RunOptions, reporter: Reporter, means: Means) -> Run:
    """The run over an opened ``session``, whose graph is laid out. Raises UsageError."""
    inbox: SimpleQueue[BackendEvent | None] = SimpleQueue()
    pool = _pool(session, options, reporter, means)
    state = _state(session, options, reporter, means, pool)
    means.governor.govern(pool.scheduler, lambda node: state.graph.instances[node])

    def opened(backend: Backend, why_not: str) -> None:
        if why_not:
            state.end(StopReason(Stop.UNREACHABLE, why_not))
        pool.opened(backend)

    def waits(node: int, verdict: Verdict) -> bool:
        if not pool.waits_for_prints(node, verdict):
            return False
        backend.open()
        return True

    backend = LazyBackend(means.backend, inbox.put, opened)
    lookups = PendingLookups(means.shared, lambda: inbox.put(None), reporter.note)
    tokens = Tokens(session.contents)
    outputs = Outputs(session, tokens, means.run_id, reporter.note)
    growth = DynamicGraph(state, session, options)
    resolver = Resolver(
        state,
        session,
        tokens,
        outputs,
        blobs=means.blobs,
        shared=means.shared,
        fingerprints=pool.fingerprints,
        waits=waits,
        park=lookups.park,
        note=reporter.note,
    )
    temps = TempOutputs(
        state,
        tokens,
        outputs,
        restorable=resolver.restorable,
        restore=resolver.restore,
        may_need=growth.may_need,
    )
    pool.attach(state, resolver.parts_of)
    state.listeners = (resolver, lookups, pool, temps, growth)
    state.lay_out(session.graph)
    parts = _Parts(session, options, reporter, means, state, pool, backend, tokens, outputs, resolver)
    return Run(
        state,
        inbox,
        outputs,
        resolver=resolver,
        dispatcher=_dispatcher(parts, temps),
        completion=_completion(parts),
        growth=growth,
        lookups=lookups,
        pool=pool,
        backend=backend,
        governor=means.governor,
        reporter=reporter,
    )


def _dispatcher(parts: _Parts, temps: TempOutputs) -> Dispatcher:
    return Dispatcher(
        parts.state,
        Preparation(
            parts.state,
            parts.session,
            parts.options,
            parts.outputs,
            parts.pool,
            parts.backend,
            run_id=parts.means.run_id,
            store=parts.means.blobs.directory if parts.means.blobs is not None else None,
            seen=parts.resolver.seen,
        ),
        parts.pool,
        parts.backend,
        store=parts.session.store,
        governor=parts.means.governor,
        reporter=parts.reporter,
        bring_back=temps.bring_back,
    )


def _completion(parts: _Parts) -> Completion:
    check = ResultCheck(parts.state, parts.session, parts.tokens, parts.backend)
    commit = Commit(
        parts.state,
        parts.session,
        parts.tokens,
        check,
        run_id=parts.means.run_id,
        blobs=parts.means.blobs,
        shared=parts.means.shared,
        token_of=parts.resolver.discovered,
    )
    return Completion(
        parts.state,
        parts.session,
        parts.outputs,
        check,
        commit,
        pool=parts.pool,
        backend=parts.backend,
        governor=parts.means.governor,
        reporter=parts.reporter,
        retries=parts.options.retries,
    )


def _pool(session: Workset, options: RunOptions, reporter: Reporter, means: Means) -> SlotPool:
    """The slots of this machine or a cluster; with hosts those of every place."""
    taken = Taken(session.workspace, dict(os.environ))
    if not means.hosts:
        return SlotPool(means.jobs, options.resource, taken)
    from f0make.engine.host_pool import HostPool

    return HostPool(means.hosts, means.jobs, options.resource, taken, reporter)


def _state(
    session: Workset, options: RunOptions, reporter: Reporter, means: Means, pool: SlotPool
) -> RunState:
    attempts = Attempts()
    ready = ReadyQueue(
        pool.scheduler,
        means.governor,
        session.store.seconds,
        lambda instance: next_resources(session, instance, attempts.next_number(instance.name)),
    )
    return RunState(
        session.select,
        EventBuffer(session.store, reporter, pool.here),
        ready,
        attempts,
        lambda instance: means.places().refusal(instance),
        keep_going=options.keep_going,
    )

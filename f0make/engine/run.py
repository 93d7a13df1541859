"""The one loop that drives a run: decide what is settled, start what fits, keep what comes back.

Everything happens in one thread; the backend reports through `inbox`, signals set `interrupted`. Nothing is
announced before it is on disk: events are buffered and leave after the flush of the log.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from f0make.engine.again import CannotAttempt
from f0make.engine.attempts import MOST_CHANGES, Attempt, Attempts, unseen
from f0make.engine.contexts import Contexts
from f0make.engine.decider import Decider, Kind, Verdict
from f0make.engine.nodes import State
from f0make.engine.outputs import Outputs, ProtectedOutput
from f0make.engine.pace import Pace
from f0make.engine.tokens import Tokens
from f0make.execution.bundle import Backend, Outcome
from f0make.files.place import BlobCorrupt, BlobMissing
from f0make.governor.tally import Tally
from f0make.graph.build import Graph
from f0make.model import Instance, Output
from f0make.options import Event, Reporter, RunOptions
from f0make.scheduler import DEFAULT_SECONDS, Demand, Scheduler, bottom_levels, demand_of
from f0make.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from f0make.cache.blobs import Blobs
    from f0make.cache.shared import ActionCache
    from f0make.governor.governor import Governor

GRACE = 2.5
"""Seconds between TERM and KILL when a run is interrupted."""


class Run:
    """One run over an opened session."""

    def __init__(
        self,
        session: Session,
        options: RunOptions,
        reporter: Reporter,
        *,
        run_id: str,
        jobs: int,
        backend: Callable[[], Backend],
        blobs: Blobs | None,
        shared: ActionCache | None,
        fingerprints: Callable[[Instance], list[str] | None],
        governor: Governor | None = None,
    ) -> None:
        self.session = session
        self.options = options
        self.reporter = reporter
        self.run_id = run_id
        self.inbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self.interrupted = 0
        self.disk_full = ""
        self.failing = False
        self.counts: Counter[State] = Counter()
        self.steps: dict[str, str] = {}
        self.blobs = blobs
        self.tokens = Tokens(session.contents)
        self.outputs = Outputs(session, self.tokens, run_id, reporter.note)
        self.scheduler = Scheduler(jobs, options.resource)
        self.governor = governor
        """None: nothing is limited and no energy is measured."""
        if governor is not None:
            self.scheduler.admit = self._admits
            self.scheduler.so_far = governor.so_far
        self.over_budget = ""
        """The sum that ended the run: ``time``, ``energy`` or ``carbon``."""
        self.cut_off: list[Instance] = []
        """What that sum did not suffice for."""
        self.tally = Tally()
        self._new_backend = backend
        self._backend: Backend | None = None
        self._ahead = 0
        """How many bundles the backend takes beyond its slots (it gives them back when a step fails)."""
        self.pace = Pace(self)
        self._events: list[Event] = []
        self._due: list[tuple[float, int]] = []
        """(monotonic time, node) of retries that wait for their delay."""
        self._finished: set[str] = set()
        self.attempts = Attempts(self)
        self._adopt_options = (shared, fingerprints)
        self._lay_out(session.graph)

    # -- the graph and its nodes -------------------------------------------------------------------------

    def _lay_out(self, graph: Graph) -> None:
        """Make a node of everything wanted in ``graph``; called once, and by `_grow` for a larger graph."""
        shared, fingerprints = self._adopt_options
        size = len(graph.needs)
        self.graph = graph
        self.contexts = Contexts(graph.needs)
        self.decider = Decider(self.session, self.tokens, self.contexts, self.blobs, shared, fingerprints)
        self.wanted = self._selected(graph)
        self.state = [State.WAITING] * size
        self.verdicts: dict[int, Verdict] = {}
        self.levels: list[float] | None = None
        self.demands: dict[int, Demand] = {}
        self.virtual: dict[int, Verdict] = {}
        """Current nodes whose temp outputs are gone: their event waits, they may yet have to run."""
        self.awaited: dict[int, list[int]] = {}
        """Maker whose temp outputs are being made again -> nodes that wait for them."""
        self.waiting_for: dict[int, int] = {}
        """Node -> how many such makers it waits for."""
        self.remaining = [
            sum(1 for n in needs if n in self.wanted) if node in self.wanted else 0
            for node, needs in enumerate(graph.needs)
        ]
        self.doom: dict[int, State] = {}
        """What becomes of nodes some need of which did not get there."""
        self.released: set[int] = set()
        """Nodes whose dependents were told."""
        self.consumers = [sum(1 for n in users if n in self.wanted) for users in graph.needed_by]
        self.ranked = any(i.priority or i.step.idx for i in graph.instances)
        """Somebody cares about the order: nothing starts before all that is ready is known."""
        self.position = [0] * size
        for position, node in enumerate(graph.order):
            self.position[node] = position
        self.undecided: list[tuple[int, int]] = []
        for node in self.wanted:
            if not self.remaining[node]:
                heappush(self.undecided, (self.position[node], node))
        for target in self.options.force:
            self.decider.forced.update(self.session.resolve(target))

    def _selected(self, graph: Graph) -> set[int]:
        wanted = self.session.wanted()
        if self.options.only:
            wanted = {n for n in wanted if n < len(graph.instances)}
            wanted = {n for n in wanted if graph.instances[n].step.name in self.options.only}
        return wanted

    def _grow(self) -> None:
        """A step that others wait for (`after:`) is done: expand again and carry every node over by name."""
        old_graph, old_state, old_demands = self.graph, self.state, self.demands
        old_verdicts, old_virtual, old_contexts = self.verdicts, self.virtual, self.contexts
        done = {self.graph.instances[n].name: n for n in self.wanted if n < len(old_graph.instances)}
        self.session.build(frozenset(self._finished))
        self._lay_out(self.session.graph)
        self.scheduler.reset()
        for node in sorted(self.wanted, key=self.position.__getitem__):
            name = self.graph.instances[node].name if node < len(self.graph.instances) else None
            before = done.get(name) if name is not None else None
            if before is None:
                continue
            if old_state[before] in (State.RUNNING, State.READY) or old_state[before].settled:
                self.graph.instances[node] = old_graph.instances[before]
            if before in old_demands:
                self.demands[node] = old_demands[before]
            if before in old_verdicts:
                self.verdicts[node] = old_verdicts[before]
            if before in old_virtual:
                self.virtual[node] = old_virtual[before]
            if old_state[before] is State.RUNNING:
                self.state[node] = State.RUNNING
                self.scheduler.begin(node, old_demands[before])
            elif old_state[before] is State.READY:
                # Decided again: cheap, and right whatever the growth changed around it.
                self.state[node] = State.WAITING
            elif old_state[before].settled:
                self.state[node] = old_state[before]
                self.contexts.settle(
                    node, self.graph.instances[node].step.name, old_contexts.writes.get(before, ())
                )
                self._release(node)
        self._due = []
        self.undecided = [
            (self.position[n], n)
            for n in self.wanted
            if self.state[n] is State.WAITING and not self.remaining[n]
        ]
        self.undecided.sort()

    # -- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Drive every wanted node to a settled state. Raises what the state or the backend cannot bear."""
        try:
            while True:
                self._decide_ready()
                self._start_what_fits()
                self._flush()
                if not self.scheduler.running and not self._due:
                    if self.failing or self.interrupted or self.disk_full or not self._work_left():
                        break
                    if self._nothing_fits():
                        break
                    continue
                if self.interrupted:
                    self._abandon_running()
                    break
                self._wait()
        finally:
            if self.governor is not None:
                self.governor.release()
            if self._backend is not None:
                self._backend.stop(GRACE)
            if self.governor is not None:
                self.governor.close()
        self._settle_rest()
        self._flush()

    def _admits(self, node: int) -> bool:
        return self.governor is None or self.governor.admits(self.graph.instances[node])

    def _nothing_fits(self) -> bool:
        """Whether a sum of the budget is too small for all that is ready. Raises UsageError when it always was."""
        if self.governor is None or self.undecided or not self.governor.refused:
            return False
        ready = [
            instance
            for node, instance in enumerate(self.graph.instances)
            if node in self.wanted and self.state[node] is State.READY
        ]
        self.governor.refuse_hopeless(ready)
        self.over_budget = next(iter(self.governor.refused.values()))
        self.cut_off = list(self.unsettled())
        return True

    def unsettled(self) -> Iterable[Instance]:
        """The wanted instances of which nothing has become yet."""
        for node in self.wanted:
            if node < len(self.graph.instances) and not self.state[node].settled:
                yield self.graph.instances[node]

    def _work_left(self) -> bool:
        return bool(self.undecided or len(self.scheduler))

    def _decide_ready(self) -> None:
        while self.undecided and not self._stopping():
            _, node = heappop(self.undecided)
            if self.state[node] is not State.WAITING or self.remaining[node]:
                continue
            self._decide(node)
            if not self.ranked and len(self.scheduler) and self.scheduler.running < self.scheduler.jobs:
                self._start_what_fits()
            if not self.inbox.empty():
                self._collect()
            if self.governor is not None and self.scheduler.running:
                self.governor.look(self._backend)

    def _stopping(self) -> bool:
        return bool(self.interrupted or self.disk_full or self.failing)

    def _decide(self, node: int) -> None:
        if node in self.doom:
            self._settle(node, self.doom[node], self._why_doomed(node))
            return
        if node in self.graph.barriers:
            self._settle(node, State.CURRENT, "")
            return
        instance = self.graph.instances[node]
        if not instance.when or instance.step.name in self.options.skip:
            self._settle(node, State.SKIPPED, "when" if not instance.when else "--skip")
            return
        if self._wait_for_makers(node):
            return
        try:
            verdict = self.decider.decide(node)
            self.verdicts[node] = verdict
            if verdict.kind is Kind.CURRENT:
                self._found_current(node, verdict)
            elif verdict.kind is Kind.RESTORE:
                self._restore(node, verdict)
            elif verdict.kind is Kind.BLOCKED:
                self._fail(node, verdict.reason)
            else:
                self.outputs.guard(instance.outputs, node in self.decider.forced)
                self._enqueue(node)
        except ProtectedOutput as error:
            self._fail(node, str(error))
        except OSError as error:
            self._os_error(node, error)

    def _why_doomed(self, node: int) -> str:
        return (
            "it needs a skipped step"
            if self.doom[node] is State.SKIPPED
            else "something that it needs failed"
        )

    def _os_error(self, node: int, error: OSError) -> None:
        """A file could not be read or written: this instance has failed; a full disk ends the run."""
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self.disk_full = f"no space left on device{where}"
        self._fail(node, f"{error.strerror or error}{where}")

    def _found_current(self, node: int, verdict: Verdict) -> None:
        instance = self.graph.instances[node]
        record = verdict.record
        if record is not None:
            if verdict.imported:
                self.session.store.append_record(dict(record, instance=instance.name))
            made, stale = self.session.store.made, {}
            for output in instance.outputs:
                if self.tokens.on_disk(output.path) is None:
                    self.tokens.promise(output, record, record.get("trees", {}))
                    self.virtual[node] = verdict
                elif made.get(output.path) != record["outputs"][output.path]:
                    stale[output.path] = record["outputs"][output.path]
            if stale:
                self.session.store.append_made(stale, instance.name)
            self._remember_writes(node, record)
            self.tally.spared(record)
        self._settle(node, State.CURRENT, verdict.reason, quiet=node in self.virtual)

    def _remember_writes(self, node: int, record: Mapping[str, Any]) -> None:
        instance = self.graph.instances[node]
        self.contexts.settle(node, instance.step.name, record.get("writes", ()))
        if record.get("missing_reads"):
            self.attempts.missing_reads[instance.name] = set(record["missing_reads"])
        self._late_readers(node, record)

    def _restore(self, node: int, verdict: Verdict, wrong: list[Output] | None = None) -> None:
        instance = self.graph.instances[node]
        assert verdict.record is not None and self.blobs is not None
        self.outputs.guard(wrong or verdict.wrong, node in self.decider.forced)
        try:
            if verdict.imported:
                self.session.store.append_record(dict(verdict.record, instance=instance.name))
            self.outputs.restore(instance, verdict.record, wrong or verdict.wrong, self.blobs)
        except (BlobMissing, BlobCorrupt) as error:
            self.reporter.note(f"{instance.name}: {error}; it runs again")
            verdict.kind, verdict.reason = Kind.RUN, "what the cache held for it was damaged"
            self.virtual.pop(node, None)
            self._enqueue(node)
            return
        self.virtual.pop(node, None)
        self._remember_writes(node, verdict.record)
        if self.state[node].settled:
            self.counts[self.state[node]] -= 1
        else:
            self.tally.spared(verdict.record)
        self._settle(node, State.RESTORED, verdict.reason)

    def _enqueue(self, node: int) -> None:
        if self.levels is None:
            self.levels = bottom_levels(self.graph.needed_by, self.graph.order, self._durations())
        instance = self.graph.instances[node]
        self.state[node] = State.READY
        self.demands[node] = demand_of(self.attempts.resources(instance), self.scheduler.jobs)
        level = self.levels[node]
        if self.governor is not None:
            level = self.governor.urgency(instance, level, self.unsettled)
        elif self.scheduler.jobs == 1:
            level = 0.0  # No order is quicker than another: the person's counts.
        self.scheduler.push(node, priority=instance.priority, level=level, idx=instance.step.idx or 0)

    def _durations(self) -> list[float]:
        """Predicted seconds of each node: its own last duration, else its step's mean, else a default."""
        known: dict[str, list[float]] = {}
        found: list[float | None] = []
        for instance in self.graph.instances:
            seconds = self.session.store.seconds(instance.name)
            found.append(seconds)
            if seconds is not None:
                known.setdefault(instance.step.name, []).append(seconds)
        means = {step: sum(values) / len(values) for step, values in known.items()}
        filled = [
            means.get(i.step.name, DEFAULT_SECONDS) if s is None else s
            for i, s in zip(self.graph.instances, found, strict=True)
        ]
        return filled + [0.0] * len(self.graph.barriers)

    # -- starting ----------------------------------------------------------------------------------------

    def _start_what_fits(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, node = heappop(self._due)
            if self.state[node] is State.READY:
                self._enqueue(node)
        while len(self.scheduler) and not self._stopping():
            popped = self.scheduler.pop(self.demands)
            if popped is None and self._ahead and not self.ranked:
                popped = self.scheduler.pop_ahead(self._ahead, self.demands, self.pace.may_wait)
            if popped is None:
                return
            node = popped
            if self._temp_inputs_missing(node):
                self.scheduler.end(node)
                continue
            try:
                self._start(node)
            except OSError as error:
                self.scheduler.end(node)
                self._os_error(node, error)
            except (ProtectedOutput, CannotAttempt) as error:
                self.scheduler.end(node)
                self._fail(node, str(error))

    def _temp_inputs_missing(self, node: int) -> bool:
        """Bring back temp inputs that are only promised; True when that takes a run of their maker."""
        makers = {self.graph.producer_of(path) for path in self.graph.instances[node].inputs}
        for maker in sorted((m for m in makers if m is not None), key=self.position.__getitem__):
            if maker in self.virtual:
                self._revive(maker)
        return self._wait_for_makers(node)

    def _wait_for_makers(self, node: int) -> bool:
        """Whether ``node`` must wait because a temp input of it is being made again, for whomever."""
        busy = [n for n in self.graph.needs[node] if n in self.wanted and not self.state[n].settled]
        for maker in busy:
            self.awaited.setdefault(maker, []).append(node)
        if busy:
            self.waiting_for[node] = len(busy)
            self.state[node] = State.WAITING
        return bool(busy)

    def _revive(self, maker: int) -> None:
        """A consumer must run: put the temp outputs of ``maker`` back, or make them again."""
        verdict = self.virtual[maker]
        instance = self.graph.instances[maker]
        assert verdict.record is not None
        missing = [o for o in instance.outputs if self.tokens.on_disk(o.path) is None]
        if self.decider.restorable(verdict.record, missing):
            verdict.reason = "a consumer needs it"
            self._restore(maker, verdict, missing)
            if self.state[maker] is State.RESTORED:
                return
        else:
            verdict.kind, verdict.reason = Kind.RUN, "a consumer needs it and it is not in the cache"
            self.tally.spared(verdict.record, -1)
            self._enqueue(maker)
        self.virtual.pop(maker, None)
        self.counts[State.CURRENT] -= 1
        for output in instance.outputs:
            self.tokens.keep(output.path)

    def _start(self, node: int) -> None:
        if self._backend is None:
            self._backend = self._new_backend()
            self._ahead = getattr(self._backend, "ahead", 0)
            if self._ahead:
                self._backend.careful = True  # type: ignore[attr-defined]
            self._backend.start(self.inbox.put)
        instance = self.graph.instances[node]
        context: dict[str, Any] = {}
        foreign: dict[str, str] = {}
        if instance.step.type == "python":
            context, foreign = self.contexts.view(node), self.foreign(node)
        bundle = self.attempts.prepare(node, context, foreign)
        self.state[node] = State.RUNNING
        self.session.store.flush()
        self.reporter.running(instance.name, bundle.attempt, "")
        if self.governor is not None:
            self.governor.started(instance, bundle.token)
        self._backend.submit(bundle)

    def foreign(self, node: int) -> dict[str, str]:
        """Context keys that only steps which are no ancestors of ``node`` set, did or will -> the step."""
        foreign = self.contexts.foreign(node)
        if self.session.setters:
            above = self.graph.closure([node]) - set(self.graph.barriers)
            line = {self.graph.instances[n].name for n in above}
            for key, names in self.session.setters.items():
                present = [name for name in names if name in self.graph.by_name]
                if present and not names & line:
                    setter = self.graph.instances[self.graph.by_name[min(present)]]
                    foreign.setdefault(key, setter.step.name)
        return foreign

    # -- collecting --------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until an outcome, a signal or the next retry."""
        timeout = None
        if self._due and not self._stopping():
            timeout = max(0.0, self._due[0][0] - time.monotonic())
        elif self._due and not self.scheduler.running:
            self._due.clear()
            return
        if self.governor is not None:
            self.governor.look(self._backend)
            patience = self.governor.patience()
            timeout = patience if timeout is None else timeout if patience is None else min(timeout, patience)
        try:
            outcome = self.inbox.get(timeout=timeout)
        except Empty:
            return
        self._collect(outcome)

    def _collect(self, outcome: Outcome | None = None) -> None:
        """Take in ``outcome`` and every other one that is waiting, then flush once for all of them."""
        while True:
            if outcome is not None:
                attempt = self.attempts.of(outcome.token)
                if attempt is not None:
                    self._complete(attempt, outcome)
                if self._ahead and not outcome.ok and not outcome.lost:
                    self._release_backend()
            try:
                outcome = self.inbox.get_nowait()
            except Empty:
                break
        self._flush()

    def _complete(self, attempt: Attempt, outcome: Outcome) -> None:
        node = self.graph.by_name[attempt.instance.name]
        self.scheduler.end(node)
        if self.governor is not None:
            attempt.cost = self.governor.ended(outcome)
        self.tally.ran(outcome)
        if self.interrupted:
            return
        if outcome.ok:
            self.pace.note(attempt.instance, outcome.seconds)
        try:
            self._judge(node, attempt, outcome)
        except OSError as error:
            self._os_error(node, error)

    def _release_backend(self) -> None:
        """A step has failed, and the backend starts nothing more until it is told whether the run goes on."""
        backend: Any = self._backend
        if self._stopping():
            backend.recall()
        else:
            backend.go_on()

    def _judge(self, node: int, attempt: Attempt, outcome: Outcome) -> None:
        instance = self.graph.instances[node]
        log, inputs = attempt.bundle.log, self.verdicts[node].inputs
        if outcome.lost or (self.governor is not None and self.governor.spared(outcome)):
            self.attempts.discard(attempt, failed=False)
            self._enqueue(node)
            return
        if not outcome.ok:
            self.attempts.discard(attempt, keep=not outcome.disk_full)
            if outcome.disk_full:
                self.disk_full = f"no space left on device ({instance.name}: {outcome.message})"
            elif attempt.failures < self.attempts.retries(instance):
                attempt.failures += 1
                self.reporter.note(
                    f"{instance.name}: {outcome.message}; attempt {attempt.number + 1} of "
                    f"{self.attempts.retries(instance) + 1}"
                )
                self._again(node, instance.retry_delay)
                return
            self.reporter.output(instance.name, log, True)
            self._fail(node, outcome.message, outcome)
            return
        changed = self.attempts.changed_input(attempt, outcome, inputs)
        if changed:
            self.attempts.discard(attempt)
            attempt.changes += 1
            text = f"input {changed} changed while {instance.name} ran"
            if attempt.changes > MOST_CHANGES:
                self._fail(node, text, outcome)
                return
            self.reporter.note(f"{text}; it runs again")
            self._decide_again(node)
            return
        problem = self.attempts.objection(attempt, outcome, inputs)
        if problem:
            self.attempts.discard(attempt)
            self.reporter.output(instance.name, log, True)
            self._fail(node, problem, outcome)
            return
        if outcome.message:
            self.reporter.note(f"{instance.name}: {outcome.message}")
        record = self.attempts.commit(attempt, outcome, inputs)
        self.outputs.protect(instance.outputs)
        self._remember_writes(node, record)
        self.reporter.output(instance.name, log, False)
        self._settle(node, State.RAN, self.verdicts[node].reason, outcome=outcome)

    def _again(self, node: int, delay: float) -> None:
        self.state[node] = State.READY
        if delay > 0:
            heappush(self._due, (time.monotonic() + delay, node))
        else:
            self._enqueue(node)

    def _decide_again(self, node: int) -> None:
        """Decide ``node`` again, from what its inputs hold now."""
        self.state[node] = State.WAITING
        heappush(self.undecided, (self.position[node], node))

    def _late_readers(self, writer: int, record: Mapping[str, Any]) -> None:
        """A key was read, and missing, before a step that is no ancestor of the reader set it: an error."""
        keys = {write["key"] for write in record.get("writes", ())}
        if not keys:
            return
        for name, missing in self.attempts.missing_reads.items():
            reader = self.graph.by_name[name]
            clash = keys & missing
            if (
                clash
                and reader != writer
                and self.state[reader].good
                and writer not in self.contexts.above(reader)
            ):
                self.session.store.forget(self.verdicts[reader].key)
                self.counts[self.state[reader]] -= 1
                self.counts[State.FAILED] += 1
                self.state[reader] = State.FAILED
                self.failing = self.failing or not self.options.keep_going
                self.steps[name] = State.FAILED.value
                step = self.graph.instances[writer].step.name
                self.reporter.note(f"{name}: {unseen(sorted(clash)[0], step)}; its result is not kept")

    # -- settling ----------------------------------------------------------------------------------------

    def _fail(self, node: int, reason: str, outcome: Outcome | None = None) -> None:
        if not self.options.keep_going:
            self.failing = True
        self._settle(node, State.FAILED, reason, outcome=outcome)

    def _settle(
        self, node: int, state: State, reason: str, *, outcome: Outcome | None = None, quiet: bool = False
    ) -> None:
        self.state[node] = state
        if node < len(self.graph.instances):
            self.counts[state] += 1
            if not quiet:
                self._announce(node, state, reason, outcome)
        for consumer in self.awaited.pop(node, ()):
            self.waiting_for[consumer] -= 1
            if not state.good:
                self.doom[consumer] = State.CANCELLED
            if not self.waiting_for[consumer]:
                del self.waiting_for[consumer]
                heappush(self.undecided, (self.position[consumer], consumer))
        self._release(node)
        self._after(node)

    def _release(self, node: int) -> None:
        """Tell those that need ``node``, and let go of temp outputs that nobody needs any more."""
        if node in self.released:
            return
        self.released.add(node)
        state = self.state[node]
        for other in self.graph.needed_by[node]:
            if other not in self.wanted:
                continue
            self.remaining[other] -= 1
            if state is State.SKIPPED:
                self.doom.setdefault(other, State.SKIPPED)
            elif not state.good:
                self.doom[other] = State.CANCELLED
            if not self.remaining[other] and self.state[other] is State.WAITING:
                heappush(self.undecided, (self.position[other], other))
        for other in self.graph.needs[node]:
            self.consumers[other] -= 1
            if not self.consumers[other] and state.good:
                self._drop_temp(other)

    def _drop_temp(self, node: int) -> None:
        if node >= len(self.graph.instances) or node not in self.wanted:
            return
        users = [u for u in self.graph.needed_by[node] if u in self.wanted]
        if not all(self.state[u].good or self.state[u] is State.SKIPPED for u in users):
            return
        temp = [o for o in self.graph.instances[node].outputs if o.temp]
        if temp:
            self.outputs.drop(temp)

    def _after(self, node: int) -> None:
        """Let the graph grow when the last instance of a step that others wait for is done."""
        if node >= len(self.graph.instances) or not self.session.pending:
            return
        step = self.graph.instances[node].step.name
        if step not in self.session.pending.values() or step in self._finished:
            return
        if all(self.state[n].good for n in self.graph.by_step[step]):
            self._finished.add(step)
            self.session.store.flush()
            self._grow()

    def _announce(self, node: int, state: State, reason: str, outcome: Outcome | None) -> None:
        instance = self.graph.instances[node]
        event: Event = {"event": "step", "step": instance.name, "status": state.value, "reason": reason}
        event["seconds"] = round(outcome.seconds, 6) if outcome else 0
        if outcome is not None:
            event["cpu_seconds"] = round(outcome.cpu_seconds, 6)
            event.update(peak_mem=outcome.peak_mem, read=outcome.read, written=outcome.written)
            event.update(self.attempts.cost(instance.name))
            if outcome.exit_code is not None:
                event["exit_code"] = outcome.exit_code
            if outcome.host:
                event["host"] = outcome.host
        if state is not State.CURRENT:
            self.steps[instance.name] = state.value
        self._events.append(event)

    def _flush(self) -> None:
        """Make what happened durable, then say it."""
        try:
            self.session.store.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.disk_full = f"no space left on device ({error.filename or self.session.workspace})"
            # What was not written down did not happen: its events are dropped with it.
            self._events = [e for e in self._events if e["status"] != State.RAN.value]
        for event in self._events:
            self.reporter.step(event)
        self._events.clear()

    def _abandon_running(self) -> None:
        """Interrupted: stop every process, then put aside what was half made."""
        assert self._backend is not None
        if self.governor is not None:
            self.governor.release()
        self._backend.stop(GRACE)
        for attempt in self.attempts.open():
            self.attempts.discard(attempt)
            self.state[self.graph.by_name[attempt.instance.name]] = State.WAITING

    def _settle_rest(self) -> None:
        """The run is over: what has no state yet is cancelled; current nodes kept back are announced."""
        for node in list(self.virtual):
            if self.state[node] is State.CURRENT:
                self._announce(node, State.CURRENT, self.virtual[node].reason, None)
        for node in sorted(self.wanted, key=self.position.__getitem__):
            if not self.state[node].settled and node < len(self.graph.instances):
                state = self.doom.get(node, State.CANCELLED)
                self.state[node] = state
                self.counts[state] += 1
                why = self._why_doomed(node) if node in self.doom else "the run ended first"
                if self.over_budget and node not in self.doom:
                    why = f"the {self.over_budget} budget ended the run first"
                self._announce(node, state, why, None)

    def interrupt(self, signum: int) -> None:
        """Called from a signal handler: end the run (see `_abandon_running`)."""
        self.interrupted = signum
        self.inbox.put(None)

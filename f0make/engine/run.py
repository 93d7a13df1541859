"""The one loop that drives a run: decide what is settled, start what fits, keep what comes back.

Everything happens in one thread; the backend reports through `inbox`, signals set `interrupted`. Nothing is
announced before it is on disk: events are buffered and leave after the flush of the log.

The loop and its transitions are here; beside it stand what it works with: `progress` (states and what waits
for what), `decider` (the decisions), `starting`, `attempts` and `judging` (what attempts come to), `temps`, `growth`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import heappush
from queue import Empty, SimpleQueue

from f0make.cache.blobs import BlobCorrupt, BlobMissing
from f0make.engine.attempt_records import imported
from f0make.engine.attempts import Attempt, Attempts
from f0make.engine.completion import Judge
from f0make.engine.critical_path import levels
from f0make.engine.decider import Decider, Kind, Verdict
from f0make.engine.dispatch import Starting
from f0make.engine.dynamic_graph import Growth
from f0make.engine.event_buffer import Announcer, failure
from f0make.engine.node_state import State
from f0make.engine.output_files import Outputs, ProtectedOutput
from f0make.engine.pending_lookups import Asking
from f0make.engine.progress import Progress
from f0make.engine.promised_tokens import Tokens
from f0make.engine.temp_outputs import Temps
from f0make.engine.visible_contexts import Contexts
from f0make.errors import NO_ROOM
from f0make.governor.tally import Tally
from f0make.graph.build_graph import Graph
from f0make.model import Instance, Output
from f0make.options import Event, Reporter, RunOptions
from f0make.scheduler import Demand, Scheduler, demand_of
from f0make.worker.bundle import Backend, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.ssh.check_answers import Prints
    from f0make.backends.ssh.fleet import News
    from f0make.backends.ssh.host import Host
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.engine.fingerprints import Taken
    from f0make.engine.host_pool import Farm
    from f0make.engine.label_check import Places
    from f0make.engine.suspend import Suspension
    from f0make.governor.governor import Governor
    from f0make.workset import Workset

GRACE = 2.5
"""Seconds between TERM and KILL when a run is interrupted."""


class Run:
    """One run over an opened session."""

    def __init__(
        self,
        session: Workset,
        options: RunOptions,
        reporter: Reporter,
        *,
        run_id: str,
        jobs: int,
        backend: Callable[[], Backend],
        blobs: Blobs | None,
        shared: ForPlatform | None,
        fingerprints: Taken,
        governor: Governor | None = None,
        hosts: Sequence[Host] = (),
        places: Callable[[], Places],
    ) -> None:
        self.session = session
        self._places = places
        self.options = options
        self.reporter = reporter
        self.run_id = run_id
        self.inbox: SimpleQueue[Outcome | News | Prints | None] = SimpleQueue()
        self.interrupted = 0
        self.disk_full = ""
        self.unreachable = ""
        """Why nothing more can run: the places that could are not there."""
        self.failing = False
        self.counts: Counter[State] = Counter()
        self.steps: dict[str, str] = {}
        self.failures: dict[str, Event] = {}
        self.without_instances: dict[str, str] = {}
        """Steps that came to no instances -> what has become of them."""
        self.back: dict[str, str] = {}
        """Instance -> reason, where outputs were put back before anything was decided (`f0make.incremental.restore_missing`)."""
        self.blobs = blobs
        self.shared = shared
        self.fingerprints: Callable[[Instance], list[list[str]]] = fingerprints
        self.tokens = Tokens(session.contents)
        self.outputs = Outputs(session, self.tokens, run_id, reporter.note)
        self.farm: Farm | None = None
        """None: everything runs here."""
        self.scheduler = Scheduler(jobs, options.resource)
        if hosts:
            from f0make.engine.host_pool import Farm

            self.farm = Farm(self, hosts, jobs, fingerprints)
            self.fingerprints = self.farm.prints
            self.scheduler = self.farm.scheduler
        self.governor = governor
        """None: nothing is limited and no energy is measured."""
        if governor is not None:
            self.scheduler.admit = self._admits
            self.scheduler.so_far = governor.account.so_far
        self.over_budget = ""
        """The sum that ended the run: ``time``, ``energy`` or ``carbon``."""
        self.cut_off: list[Instance] = []
        """What that sum did not suffice for."""
        self.tally = Tally()
        self.suspension: Suspension | None = None
        """None: nobody has stopped this run yet."""
        self.elsewhere = options.backend not in ("local", "ssh")
        """Everything runs on a cluster (see `engines`)."""
        self.starting = Starting(self, backend)
        self.due: list[tuple[float, int]] = []
        """(monotonic time, node) of retries that wait for their delay."""
        self.attempts = Attempts(self)
        self.judge = Judge(self)
        self.growth = Growth(self)
        self.asking = Asking(shared, lambda: self.inbox.put(None), reporter.note)
        self._announcer = Announcer(session.store, reporter, "local" if self.farm is not None else "")
        self.lay_out(session.graph)

    # -- the graph and its nodes -------------------------------------------------------------------------

    def lay_out(self, graph: Graph) -> None:
        """Make a node of everything wanted in ``graph``; called once, and by `Growth` for a larger graph."""
        self.graph = graph
        self.tokens.through = graph.through
        self.contexts = Contexts(graph.needs)
        self.decider = Decider(
            self.session, self.tokens, self.contexts, self.blobs, self.shared, self.fingerprints
        )
        self.asking.clear()
        chosen = self.session.select()
        self.progress = Progress(graph, chosen.wanted)
        self.left_out = chosen.left_out
        self.temps = Temps(self)
        self.verdicts: dict[int, Verdict] = {}
        self.levels: list[float] | None = None
        self.demands: dict[int, Demand] = {}
        self.ranked = any(i.priority or i.step.idx for i in graph.instances)
        """Somebody cares about the order: nothing starts before all that is ready is known."""
        self.decider.forced.update(chosen.forced)

    # -- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Drive every wanted node to a settled state. Raises what the state or the backend cannot bear."""
        try:
            self.growth.look()
            while True:
                self._decide_ready()
                self.starting.what_fits()
                self._flush()
                if not self.scheduler.running and not self.due and (self.stopping() or not self.asking):
                    if self.farm is not None and self.farm.parked and not self.stopping():
                        self._wait()
                        continue
                    if self.stopping() or not self._work_left() or self._nothing_fits():
                        break
                    if self.farm is not None and len(self.scheduler) and self.farm.waits():
                        self._wait()
                    continue
                if self.interrupted:
                    self._abandon_running()
                    break
                self._wait()
        finally:
            if self.governor is not None:
                self.governor.release()
            if self.starting.backend is not None:
                self.starting.backend.stop(GRACE)
            if self.governor is not None:
                self.governor.close()
        self._settle_rest()
        self._flush()

    def _admits(self, node: int, here: bool) -> bool:
        return self.governor is None or self.governor.admits(self.graph.instances[node], here=here)

    def admits_ahead(self, node: int) -> bool:
        """Whether the budget lets ``node`` wait in front of a busy worker."""
        return self.governor is None or self.governor.admits_ahead(self.graph.instances[node])

    def _nothing_fits(self) -> bool:
        """Whether a sum of the budget is too small for all that is ready. Raises UsageError when it always was."""
        if self.governor is None or self.progress.undecided or not self.governor.refused:
            return False
        unsettled = list(self.progress.unsettled())
        ready = [self.graph.instances[n] for n in unsettled if self.progress.state[n] is State.READY]
        self.governor.refuse_hopeless(ready)
        self.over_budget = next(iter(self.governor.refused.values()))
        self.cut_off = [self.graph.instances[n] for n in unsettled]
        return True

    def _work_left(self) -> bool:
        return self.progress.undecided or bool(len(self.scheduler))

    def stopping(self) -> bool:
        """Nothing more is to start."""
        return bool(self.interrupted or self.disk_full or self.failing or self.unreachable)

    # -- deciding ----------------------------------------------------------------------------------------

    def _decide_ready(self) -> None:
        for answered in self.asking.answered():
            self.progress.queue(answered)
        while not self.stopping():
            node = self.progress.next_undecided()
            if node is None:
                return
            self._decide(node)
            arrived = not self.inbox.empty()
            if arrived:
                self._collect()
            if not self.ranked and len(self.scheduler) and self.scheduler.running < self.scheduler.jobs:
                self.starting.what_fits()
            if arrived:
                self._flush()
            if self.governor is not None and self.scheduler.running:
                self.governor.look(self.starting.backend)

    def _decide(self, node: int) -> None:
        doom = self.progress.doom.get(node)
        if doom is not None:
            self.settle(node, doom, self.progress.why_doomed(node))
            return
        if not self.progress.is_instance(node):
            self.settle(node, State.CURRENT, "")
            return
        instance = self.graph.instances[node]
        if not instance.when or node in self.left_out:
            self.settle(node, State.SKIPPED, "when" if not instance.when else "--skip")
            return
        if self.temps.wait_for_makers(node):
            return
        try:
            verdict = self.decider.decide(node)
            self.verdicts[node] = verdict
            if self.farm is not None and instance.fingerprint and self.farm.waits_for_prints(node, verdict):
                self.starting.open()
            elif verdict.kind is Kind.CURRENT:
                self._found_current(node, verdict)
            elif verdict.kind is Kind.RESTORE:
                self.restore(node, verdict, verdict.wrong)
            elif verdict.kind is Kind.ASKED:
                self.asking.park(node, verdict.key)
            elif verdict.kind is Kind.BLOCKED:
                self.fail(node, verdict.reason)
            else:
                self.outputs.guard(instance.outputs, node in self.decider.forced)
                self.enqueue(node)
        except ProtectedOutput as error:
            self.fail(node, str(error))
        except OSError as error:
            if not self.interrupted:  # Else it is as undecided as what comes after it.
                self.os_error(node, error)

    def os_error(self, node: int, error: OSError) -> None:
        """A file could not be read or written: this instance has failed; a full disk ends the run."""
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in NO_ROOM:
            self.disk_full = f"no space left on device{where}"
        self.fail(node, f"{error.strerror or error}{where}")

    def _found_current(self, node: int, verdict: Verdict) -> None:
        instance = self.graph.instances[node]
        record = verdict.record
        if record is not None:
            if verdict.imported:
                self.session.store.append_record(imported(record, instance, verdict))
            left = {}
            for output in instance.outputs:
                if self.tokens.on_disk(output.path) is None:
                    self.temps.promise(node, verdict, output)
                elif not output.temp or self.outputs.handover.foreign(output.path) is None:
                    left[output.path] = record["outputs"][output.path]
            if not self.session.store.knows(left, instance.name):
                self.outputs.handover.take(left)
                self.session.store.append_made(left, instance.name, record["key"])
            self.judge.remember_writes(node, record)
            self.tally.spared(record)
        reason = self.back.get(instance.name)
        if reason is not None:
            self.settle(node, State.RESTORED, reason)
        else:
            self.settle(node, State.CURRENT, verdict.reason, quiet=node in self.temps.virtual)

    def restored(self, names: Iterable[str]) -> None:
        """The instances ``names`` are `back`, and not among the nodes: nothing more is to be decided of them."""
        for name in names:
            self.counts[State.RESTORED] += 1
            self.steps[name] = State.RESTORED.value
            self._announcer.add(name, State.RESTORED, self.back[name], None)

    def restore(self, node: int, verdict: Verdict, wrong: list[Output]) -> None:
        """Write the outputs ``wrong`` from the cache, as the record of ``verdict`` has them."""
        instance = self.graph.instances[node]
        assert verdict.record is not None and self.blobs is not None
        self.outputs.guard(wrong, node in self.decider.forced)
        damaged: BlobMissing | BlobCorrupt | None = None
        try:
            self.outputs.restore(instance, verdict.record, wrong, self.blobs)
        except (BlobMissing, BlobCorrupt) as error:
            damaged = error
        if verdict.imported:
            # Not before: it says what f0make has made, and what lay there before was f0make's by another record.
            self.session.store.append_record(imported(verdict.record, instance, verdict))
        if damaged is not None:
            self.reporter.note(f"{instance.name}: {damaged}; it runs again")
            verdict.kind, verdict.reason = Kind.RUN, "what the cache held for it was damaged"
            self.temps.virtual.pop(node, None)
            self.enqueue(node)
            return
        self.temps.virtual.pop(node, None)
        for output in instance.outputs:
            if output.temp and self.tokens.on_disk(output.path) is None:
                self.temps.promise(node, verdict, output)
        self.judge.remember_writes(node, verdict.record)
        state = self.progress.state[node]
        if state.settled:
            self.counts[state] -= 1
        else:
            self.tally.spared(verdict.record)
        self.settle(node, State.RESTORED, verdict.reason, quiet=node in self.temps.virtual)

    # -- starting ----------------------------------------------------------------------------------------

    def enqueue(self, node: int) -> None:
        """``node`` must run: it starts when there is room."""
        if self.levels is None:
            self.levels = levels(self.graph, self.session.store.seconds)
        instance = self.graph.instances[node]
        refusal = self._places().refusal(instance) if instance.runs_on else ""
        if refusal:
            self.fail(node, refusal)
            return
        self.progress.state[node] = State.READY
        self.temps.enqueued(node)
        self.demands[node] = demand_of(self.attempts.resources(instance), self.scheduler.widest)
        level = self.levels[node]
        if self.governor is not None:
            level = self.governor.urgency(instance, level, self.progress.unsettled_instances)
        elif self.scheduler.jobs == 1:
            level = 0.0  # No order is quicker than another: the person's counts.
        self.scheduler.push(
            node,
            priority=instance.priority,
            level=level,
            idx=instance.step.idx or 0,
            cores=self.demands[node].cpu,
        )

    def again(self, node: int, delay: float) -> None:
        """``node`` must run again after ``delay`` seconds."""
        self.progress.state[node] = State.READY
        if delay > 0:
            heappush(self.due, (time.monotonic() + delay, node))
        else:
            self.enqueue(node)

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
        if self.asking.news:
            return
        timeout = None
        if self.due and not self.stopping():
            timeout = max(0.0, self.due[0][0] - time.monotonic())
        elif self.due and not self.scheduler.running:
            self.due.clear()
            return
        if self.governor is not None:
            self.governor.look(self.starting.backend)
            patience = self.governor.patience()
            timeout = patience if timeout is None else timeout if patience is None else min(timeout, patience)
        try:
            outcome = self.inbox.get(timeout=timeout)
        except Empty:
            return
        self._collect(outcome)

    def _collect(self, outcome: Outcome | News | Prints | None = None) -> None:
        """Take in ``outcome`` and every other one that is waiting.

        Nothing is flushed here: what starts in their places is written to the log together with them.
        """
        while True:
            if self.farm is not None and outcome is not None and not isinstance(outcome, Outcome):
                self.farm.take(outcome)
            elif isinstance(outcome, Outcome):
                attempt = self.attempts.of(outcome.token)
                if attempt is not None:
                    self._complete(attempt, outcome)
                if not outcome.ok and not outcome.lost:
                    self.starting.after_failure()
            try:
                outcome = self.inbox.get_nowait()
            except Empty:
                break
        self.starting.hear_cluster()

    def _complete(self, attempt: Attempt, outcome: Outcome) -> None:
        node = self.graph.by_name[attempt.instance.name]
        self.scheduler.end(node)
        if self.governor is not None:
            attempt.cost = self.governor.ended(outcome)
        if self.farm is not None:
            self.farm.ended(outcome)
        self.tally.ran(outcome)
        if self.interrupted:
            return
        if outcome.ok:
            self.starting.pace.note(attempt.instance, outcome.seconds)
        try:
            self.judge.judge(node, attempt, outcome)
        except OSError as error:
            self.os_error(node, error)

    # -- settling ----------------------------------------------------------------------------------------

    def fail(self, node: int, reason: str, outcome: Outcome | None = None) -> None:
        """``node`` has failed, and with it the run, unless it is to keep going."""
        if not self.options.keep_going:
            self.failing = True
        self.settle(node, State.FAILED, reason, outcome=outcome)

    def settle(
        self, node: int, state: State, reason: str, *, outcome: Outcome | None = None, quiet: bool = False
    ) -> None:
        """``state`` is what has become of ``node``; ``quiet``: its event comes later."""
        self.progress.state[node] = state
        self.demands.pop(node, None)
        if self.progress.is_instance(node):
            self.counts[state] += 1
            if not quiet:
                self._announce(node, state, reason, outcome)
        self.temps.settled(node)
        self.progress.release(node)
        self.growth.settled(node)

    def settle_step(self, name: str, state: State, reason: str) -> None:
        """``state`` is what has become of all that a step without instances, or a target that never came, stands for."""
        if state is State.FAILED:
            self.failing = self.failing or not self.options.keep_going
            self.failures[name] = failure(reason, None)
        self.counts[state] += 1
        self.steps[name] = self.without_instances[name] = state.value
        self._announcer.add(name, state, reason, None)

    def _announce(self, node: int, state: State, reason: str, outcome: Outcome | None = None) -> None:
        name = self.graph.instances[node].name
        if state is not State.CURRENT:
            self.steps[name] = state.value
        cost = self.attempts.cost(name) if outcome else None
        if state is State.FAILED:
            self.failures[name] = {**failure(reason, outcome, self._announcer.here), **(cost or {})}
        self._announcer.add(name, state, reason, outcome, cost)

    def _flush(self) -> None:
        """Make what happened durable, then say it."""
        full = self._announcer.flush()
        if full is not None:
            self.disk_full = f"no space left on device ({full.filename or self.session.workspace})"

    def _abandon_running(self) -> None:
        """Interrupted: stop every process, then put aside what was half made."""
        assert self.starting.backend is not None
        if self.governor is not None:
            self.governor.release()
        self.starting.backend.stop(GRACE)
        for attempt in self.attempts.open():
            self.attempts.discard(attempt)
            self.progress.state[self.graph.by_name[attempt.instance.name]] = State.WAITING

    def _settle_rest(self) -> None:
        """The run is over: what has no state yet is cancelled; events that were kept back are announced."""
        progress = self.progress
        for node, verdict in self.temps.virtual.items():
            if progress.state[node].good:
                self._announce(node, progress.state[node], verdict.reason)
        for node in list(progress.unsettled()):
            state, why = State.CANCELLED, "the run ended first"
            if node in progress.doom:
                state, why = progress.doom[node], progress.why_doomed(node)
            elif self.over_budget:
                why = f"the {self.over_budget} budget ended the run first"
            progress.state[node] = state
            self.counts[state] += 1
            self._announce(node, state, why)
        self.growth.settle_rest()

    def interrupt(self, signum: int) -> None:
        """Called from a signal handler: end the run (see `_abandon_running`)."""
        self.interrupted = signum
        self.inbox.put(None)

    def suspend(self) -> None:
        """Called from a signal handler: stop together with every step of this machine, until somebody continues f0make."""
        from f0make.engine.suspend import Suspension

        backend = self.starting.backend
        self.suspension = self.suspension or Suspension()
        self.suspension.stop_all(backend.placed() if backend is not None else {})

"""Where a run stands. Everything that an instance goes through is a transition here, and happens nowhere else.

What takes part in a run knows this state, and neither the loop nor the others; who has to do something when an instance
goes on listens to it (see `Listener`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import IntEnum
from heapq import heappop, heappush

from f0make.engine.attempts import Attempts
from f0make.engine.decider import Verdict
from f0make.engine.event_buffer import EventBuffer, failure
from f0make.engine.node_state import State
from f0make.engine.progress import Progress
from f0make.engine.ready_queue import ReadyQueue
from f0make.engine.visible_contexts import Contexts
from f0make.errors import NO_ROOM
from f0make.fast_dataclass import dataclass
from f0make.governor.tally import Tally
from f0make.graph.build_graph import Graph
from f0make.model import Instance
from f0make.options import Event
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.run_records import Selection, Settled


class Stop(IntEnum):
    """Kinds of reasons, the gravest last: of several it decides how the run ends."""

    OVER_BUDGET = 1
    """A sum of the budget does not suffice for anything that is left."""
    FAILING = 2
    """An instance has failed, and the run is not to keep going."""
    DISK_FULL = 3
    UNREACHABLE = 4
    """The places that could run what is left are not there."""
    INTERRUPTED = 5
    """A signal: what runs is ended, too."""


@dataclass(slots=True, frozen=True)
class StopReason:
    """One reason."""

    kind: Stop
    text: str = ""
    """What a person should know of it; of a budget the name of the sum: ``time``, ``energy`` or ``carbon``."""
    signal: int = 0
    """The number of the signal."""


class Results:
    """What has become of instances, as the summary, the history and the next run's snapshot want it."""

    __slots__ = ("back", "counts", "failures", "steps", "tally", "without_instances")

    def __init__(self) -> None:
        self.counts: Counter[State] = Counter()
        self.steps: dict[str, str] = {}
        """Instance -> status, but for those that are current."""
        self.failures: dict[str, Event] = {}
        self.without_instances: dict[str, str] = {}
        """Steps that came to no instances -> what has become of them."""
        self.back: dict[str, str] = {}
        """Instance -> reason, where outputs were put back before anything was decided (`incremental.restore_missing`)."""
        self.tally = Tally()


class Listener:
    """What takes part in a run hears of these transitions, and overrides those that concern it."""

    def laid_out(self) -> None:
        """There is a graph, or a larger one: the numbers of nodes are others."""

    def enqueued(self, node: int) -> None:
        """``node`` must run."""

    def settled(self, node: int) -> None:
        """Something has become of ``node``."""

    def carried(self, node: int) -> None:
        """``node`` was settled before the graph grew, and is so in the larger one."""

    def grown(self) -> None:
        """The graph has grown, and every node is carried over."""


class RunState:
    """The nodes of a graph in a run: what is known of each, what has become of it, and why the run is to stop."""

    def __init__(
        self,
        select: Callable[[], Selection],
        events: EventBuffer,
        ready: ReadyQueue,
        attempts: Attempts,
        refusal: Callable[[Instance], str],
        *,
        keep_going: bool,
    ) -> None:
        self._select = select
        self._events = events
        self._refusal = refusal
        """Tells why no place takes an instance, empty when one does."""
        self._keep_going = keep_going
        self._ends: dict[Stop, StopReason] = {}
        self.listeners: Sequence[Listener] = ()
        self.ready = ready
        self.attempts = attempts
        self.results = Results()
        self.due: list[tuple[float, int]] = []
        """(monotonic time, node) of retries that wait for their delay."""

    # -- the graph ---------------------------------------------------------------------------------------

    def lay_out(self, graph: Graph) -> None:
        """Make a node of everything wanted in ``graph``."""
        self.graph = graph
        self.selection = self._select()
        self.progress = Progress(graph, self.selection.wanted)
        self.contexts = Contexts(graph.needs)
        self.verdicts: dict[int, Verdict] = {}
        self.virtual: dict[int, Verdict] = {}
        """Current or restored nodes with temp outputs that are gone: their event waits, they may yet have to run."""
        self.ready.lay_out(graph)
        for listener in self.listeners:
            listener.laid_out()

    def grow(self, graph: Graph) -> None:
        """Go over to a larger ``graph``, and carry every node over by its name.

        What was ready is decided again: cheap, and right whatever the growth has changed around it.
        """
        old, verdicts, virtual, contexts = self.progress, self.verdicts, self.virtual, self.contexts
        demands = self.ready.demands
        done = {old.graph.instances[n].name: n for n in old.wanted if old.is_instance(n)}
        self.lay_out(graph)
        new = self.progress
        for node in sorted(new.wanted, key=new.position.__getitem__):
            before = done.get(graph.instances[node].name) if new.is_instance(node) else None
            if before is None:
                continue
            state = old.state[before]
            if state in (State.RUNNING, State.READY) or state.settled:
                graph.instances[node] = old.graph.instances[before]
            if before in verdicts:
                self.verdicts[node] = verdicts[before]
            if before in virtual:
                self.virtual[node] = virtual[before]
            if state is State.RUNNING:
                new.state[node] = State.RUNNING
                self.ready.carry(node, demands[before])
            elif state.settled:
                new.state[node] = state
                self.contexts.settle(node, graph.instances[node].step.name, contexts.writes.get(before, ()))
                new.release(node)
                for listener in self.listeners:
                    listener.carried(node)
        self.due.clear()
        new.look_again()
        for listener in self.listeners:
            listener.grown()

    # -- one node ----------------------------------------------------------------------------------------

    def decide_again(self, node: int) -> None:
        """More is known now of ``node``, or what it was started for does not hold any more."""
        self.progress.state[node] = State.WAITING
        self.progress.queue(node)

    def wait_for_makers(self, node: int) -> bool:
        """Whether ``node`` must wait because what makes an input of it is under way again, for whomever."""
        return self.progress.wait_for_makers(node)

    def enqueue(self, node: int) -> None:
        """``node`` must run: it starts when there is room."""
        instance = self.graph.instances[node]
        refusal = self._refusal(instance) if instance.runs_on else ""
        if refusal:
            self.fail(node, refusal)
            return
        self.progress.state[node] = State.READY
        for listener in self.listeners:
            listener.enqueued(node)
        self.ready.push(node, self.progress.unsettled_instances)

    def retry(self, node: int, delay: float) -> None:
        """``node`` must run again after ``delay`` seconds."""
        self.progress.state[node] = State.READY
        if delay > 0:
            heappush(self.due, (time.monotonic() + delay, node))
        else:
            self.enqueue(node)

    def wake(self) -> None:
        """Enqueue the retries whose delay is over."""
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, node = heappop(self.due)
            if self.progress.state[node] is State.READY:
                self.enqueue(node)

    def cancel(self, node: int) -> None:
        """Something that ``node`` needs has failed after all."""
        self.progress.doom[node] = State.CANCELLED
        self.decide_again(node)

    def begin(self, node: int) -> None:
        """``node`` runs."""
        self.progress.state[node] = State.RUNNING

    def settle(
        self,
        node: int,
        state: State,
        reason: str,
        *,
        outcome: Outcome | None = None,
        cost: Event | None = None,
        quiet: bool = False,
    ) -> None:
        """``state`` is what has become of ``node``; ``quiet``: its event comes later."""
        self.progress.state[node] = state
        self.ready.demands.pop(node, None)
        if self.progress.is_instance(node):
            self.results.counts[state] += 1
            if not quiet:
                self._announce(node, state, reason, outcome, cost)
        self.progress.release(node)
        for listener in self.listeners:
            listener.settled(node)

    def fail(self, node: int, reason: str, outcome: Outcome | None = None, cost: Event | None = None) -> None:
        """``node`` has failed, and with it the run, unless it is to keep going."""
        if not self._keep_going:
            self.end(StopReason(Stop.FAILING))
        self.settle(node, State.FAILED, reason, outcome=outcome, cost=cost)

    def fail_by_error(self, node: int, error: OSError) -> None:
        """A file could not be read or written: ``node`` has failed; a full disk ends the run."""
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in NO_ROOM:
            self.end(StopReason(Stop.DISK_FULL, f"no space left on device{where}"))
        self.fail(node, f"{error.strerror or error}{where}")

    def take_back(self, state: State) -> None:
        """A node was settled as ``state``, and is not: it is counted anew when it is settled again."""
        self.results.counts[state] -= 1

    def fail_after_all(self, node: int) -> None:
        """``node`` was told of as good, and has turned out to have failed."""
        name = self.graph.instances[node].name
        self.take_back(self.progress.state[node])
        self.results.counts[State.FAILED] += 1
        self.progress.state[node] = State.FAILED
        self.results.steps[name] = State.FAILED.value
        if not self._keep_going:
            self.end(StopReason(Stop.FAILING))

    # -- what has no node --------------------------------------------------------------------------------

    def settle_step(self, name: str, state: State, reason: str) -> None:
        """``state`` is what has become of all that a step without instances, or a target that never came, stands for."""
        if state is State.FAILED:
            if not self._keep_going:
                self.end(StopReason(Stop.FAILING))
            self.results.failures[name] = failure(reason, None)
        self.results.counts[state] += 1
        self.results.steps[name] = self.results.without_instances[name] = state.value
        self._events.add(name, state, reason, None)

    def take_over(self, restored: dict[str, str], settled: Settled) -> None:
        """Account for instances that need no deciding: outputs of those in ``restored`` (name -> reason) were put back."""
        results = self.results
        results.back = restored
        for name, reason in restored.items():
            if name not in self.graph.by_name:
                results.counts[State.RESTORED] += 1
                results.steps[name] = State.RESTORED.value
                self._events.add(name, State.RESTORED, reason, None)
        results.counts.update({State.CURRENT: settled.current, State.SKIPPED: settled.skipped})
        if settled.skipped:
            skipped = State.SKIPPED.value
            results.steps.update((name, s) for name, s in settled.states().items() if s == skipped)
        results.tally.saved_seconds += settled.saved_seconds
        results.tally.saved_energy_kwh += settled.saved_energy

    # -- the end -----------------------------------------------------------------------------------------

    def end(self, reason: StopReason) -> None:
        """Start nothing more, for ``reason``."""
        self._ends[reason.kind] = reason

    @property
    def stop(self) -> StopReason | None:
        """Why nothing more is to start: of several reasons the gravest. None: the run goes on."""
        return max(self._ends.values(), key=lambda reason: reason.kind.value, default=None)

    @property
    def stopping(self) -> bool:
        """Nothing more is to start."""
        return bool(self._ends)

    @property
    def interrupted(self) -> bool:
        """A person, or the system, wants the run to end at once."""
        return Stop.INTERRUPTED in self._ends

    def said(self) -> list[str]:
        """What a person should know of the reasons to stop."""
        told = (kind for kind in Stop if kind is not Stop.OVER_BUDGET)  # of which the summary tells
        return [self._ends[kind].text for kind in told if kind in self._ends and self._ends[kind].text]

    def flush(self) -> None:
        """Make what happened durable, then say it."""
        full = self._events.flush()
        if full is not None:
            self.end(StopReason(Stop.DISK_FULL, f"no space left on device ({full})"))

    def settle_rest(self) -> None:
        """The run is over: what has no state yet is cancelled; events that were kept back are announced."""
        progress, stop = self.progress, self.stop
        for node, verdict in self.virtual.items():
            if progress.state[node].good:
                self._announce(node, progress.state[node], verdict.reason)
        for node in list(progress.unsettled()):
            state, why = State.CANCELLED, "the run ended first"
            if node in progress.doom:
                state, why = progress.doom[node], progress.why_doomed(node)
            elif stop is not None and stop.kind is Stop.OVER_BUDGET:
                why = f"the {stop.text} budget ended the run first"
            progress.state[node] = state
            self.results.counts[state] += 1
            self._announce(node, state, why)

    def _announce(
        self, node: int, state: State, reason: str, outcome: Outcome | None = None, cost: Event | None = None
    ) -> None:
        name = self.graph.instances[node].name
        if state is not State.CURRENT:
            self.results.steps[name] = state.value
        if state is State.FAILED:
            self.results.failures[name] = {**failure(reason, outcome, self._events.here), **(cost or {})}
        self._events.add(name, state, reason, outcome, cost)

"""A run's other places: when they are connected, what becomes of them, and what that means for the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from f0make.backends.base import Backend, BackendEvent, Fingerprints, HostNews
from f0make.backends.ssh import HERE as HERE_LABEL
from f0make.engine.decider import Kind, Verdict
from f0make.engine.host_fingerprints import PlacePrints
from f0make.engine.placement import HERE, Place, PlacedScheduler
from f0make.engine.run_state import RunState, Stop, StopReason
from f0make.engine.slot_pool import PartsOf, SlotPool
from f0make.plan.key import key_of
from f0make.worker.bundle import Bundle, Outcome

if TYPE_CHECKING:
    from f0make.backends.ssh.host import Host
    from f0make.engine.fingerprints import Taken
    from f0make.options import Event, Reporter

_AHEAD = 2
"""Short instances that a host gets beyond its slots, for each of them: what is on the way takes its time."""


class HostPool(SlotPool):
    """The places of ``run``: this machine with ``jobs`` slots (0: nothing runs here), and ``hosts``."""

    here = "local"
    at_once = 1
    """What has started decides where the next one may."""

    def __init__(
        self,
        hosts: Sequence[Host],
        jobs: int,
        limits: Mapping[str, float],
        taken: Taken,
        reporter: Reporter,
    ) -> None:
        self._reporter = reporter
        here = Place(HERE, frozenset([HERE_LABEL]), jobs, hope=jobs > 0)
        there = [Place(host.name, host.all_labels) for host in hosts]
        self.scheduler: PlacedScheduler = PlacedScheduler(
            [here, *there], limits, self._labels, self._where, self._likes
        )
        self.prints = self.fingerprints = PlacePrints(taken, self.scheduler.places, self._ask)
        self.scheduler.suits = self._suits
        self.parked: list[int] = []
        self._undecided = {host.name for host in hosts}
        self._backend: Backend | None = None
        self._has: dict[str, set[str]] = {host.name: set() for host in hosts}
        """Host -> tokens of what lies there."""
        self._ran: dict[str, int] = {host.name: 0 for host in hosts}
        self._why: dict[str, str] = {}
        """Host -> why it is not there."""

    # What the scheduler asks.

    def _labels(self, node: int) -> Sequence[str]:
        return self._state.graph.instances[node].runs_on

    def _where(self, node: int) -> str:
        return self._state.attempts.host_of(self._state.graph.instances[node].name)

    def _likes(self, node: int, name: str) -> float:
        has = self._has.get(name)
        verdict = self._state.verdicts.get(node)
        return float(sum(1 for t in verdict.inputs.values() if t in has)) if has and verdict else 0.0

    def _suits(self, node: int, name: str) -> bool | None:
        """Whether the fingerprint of ``node`` is known at a place; None when it may yet be, False when it fails."""
        instance = self._state.graph.instances[node]
        if not instance.fingerprint or self.prints.at(instance, name) is not None:
            return True
        return False if self.prints.fails(instance, name) else None

    # What the loop asks.

    def waits_for_prints(self, node: int, verdict: Verdict) -> bool:
        """Whether ``node`` must wait for fingerprints of hosts; its verdict then comes anew.

        What is current by one that is known is current. Raises FingerprintError when they fail everywhere.
        """
        if verdict.kind is Kind.CURRENT or self.prints.complete(
            self._state.graph.instances[node], self._undecided
        ):
            return False
        self.parked.append(node)
        return True

    def keyed(self, node: int, place: str) -> None:
        """``node`` is to run at ``place``: its key holds the fingerprint that was taken there."""
        instance, verdict = self._state.graph.instances[node], self._state.verdicts[node]
        texts = self.prints.at(instance, place) if instance.fingerprint else None
        if texts is not None:
            verdict.parts = self._parts_of(instance, texts)
            verdict.key = key_of(verdict.parts, verdict.inputs)

    def _ask(self, host: str, number: int, commands: Sequence[str], env: Mapping[str, str]) -> None:
        if self._backend is not None:
            self._backend.ask(host, number, commands, env)

    def _decide_again(self) -> None:
        parked, self.parked = self.parked, []
        for node in parked:
            self._state.decide_again(node)

    def _answered(self, prints: Fingerprints) -> None:
        """A host has said what fingerprint commands give there."""
        self.prints.hear(prints.number, prints.texts, prints.error)
        self.scheduler.changed()
        self._decide_again()

    def attach(self, state: RunState, parts_of: PartsOf) -> None:
        """``state`` is that of the run; ``parts_of`` makes the parts of a key with what fingerprint commands gave."""
        self._state, self._parts_of = state, parts_of

    def laid_out(self) -> None:
        """The nodes have new numbers; what is not settled is decided again."""
        self.parked = []

    def opened(self, backend: Backend) -> None:
        """``backend`` has begun to connect."""
        self._backend = backend

    @property
    def ready(self) -> bool:
        """It is known of every host whether it is there: nothing starts before."""
        return self._backend is not None and not self._undecided

    def waits(self) -> bool:
        """Nothing runs, though something is ready: whether a host may yet come that takes it.

        Otherwise the run is marked as unreachable.
        """
        if self._undecided:
            return True
        stranded = self.scheduler.stranded()
        if stranded and len(stranded) == len(self.scheduler):
            self._give_up(stranded)
            return False
        return any(place.hope and not place.slots for place in self.scheduler.places.values())

    def place_of(self, node: int) -> str:
        """The host that ``node`` was put at, empty for this machine."""
        return self.scheduler.place_of(node)

    # What happens.

    def take(self, event: BackendEvent) -> None:
        """News about a host, or what it answers."""
        if isinstance(event, Fingerprints):
            self._answered(event)
        elif isinstance(event, HostNews):
            self._heard_of(event)

    def _heard_of(self, news: HostNews) -> None:
        place = self.scheduler.places[news.host]
        first = news.host in self._undecided
        self._undecided.discard(news.host)
        if news.status in ("up", "back"):
            place.slots, place.hope = news.slots, True
            place.ahead = _AHEAD * news.slots + 2
            self._why.pop(news.host, None)
        else:
            place.slots, place.ahead = 0, 0
            place.hope = news.status == "lost"
            self._why[news.host] = news.reason
            self._has[news.host].clear()
            self.prints.forget(news.host)
        self.scheduler.changed()
        self._decide_again()
        if news.status != "gone":
            event = {"event": "host", "host": news.host, "status": news.status, "reason": news.reason}
            self._reporter.host(event)
        if news.refused and first:
            self._state.end(StopReason(Stop.UNREACHABLE, news.reason))
        elif first and not self._undecided:
            stranded = self.scheduler.stranded()
            if stranded:
                self._give_up(stranded)

    def sent(self, bundle: Bundle) -> None:
        """``bundle`` was handed over: what it needs lies at its host now, or is on the way there."""
        if bundle.host:
            self._has[bundle.host].update(bundle.contents.values())

    def ended(self, outcome: Outcome) -> None:
        """``outcome`` has come from a host."""
        if outcome.host and outcome.ok:
            self._ran[outcome.host] += 1
            self._has[outcome.host].update(outcome.outputs.values())

    def ban(self, node: int, host: str) -> bool:
        """Never put ``node`` at ``host`` again, which cannot run it; whether any other place could take it."""
        return self.scheduler.ban(node, host)

    def fields(self) -> Event:
        """For each host what it did, and the bytes that went there and came back."""
        found = {}
        for name, ran in self._ran.items():
            sent, received = self._backend.traffic(name) if self._backend is not None else (0, 0)
            found[name] = {"ran": ran, "sent": sent, "received": received}
        return {"hosts": found}

    def _give_up(self, stranded: list[int]) -> None:
        names = [self._state.graph.instances[node].name for node in stranded]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        reasons = "; ".join(dict.fromkeys(why for why in self._why.values() if why)) or "no host takes it"
        text = f"no place is left to run {names[0]}{more}: {reasons}"
        self._state.end(StopReason(Stop.UNREACHABLE, text))

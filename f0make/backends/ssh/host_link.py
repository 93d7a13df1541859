"""One host at work: what was sent there, what waits for contents, and results on their way home."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from f0make.backends import bundle_sources
from f0make.backends.base import Fingerprints
from f0make.backends.ssh import check_answers
from f0make.backends.ssh.connection import Connection
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.incoming import Incoming
from f0make.backends.ssh.outgoing import Outgoing
from f0make.backends.ssh.staging_store import Transit
from f0make.backends.ssh.start_agent import start
from f0make.worker.agent import outcome_digests, wire_format
from f0make.worker.bundle import Bundle, Outcome

_BEATS = 4
"""Heartbeats in the length of a lease."""


class Broken(Exception):
    """The host is of no use any more; the text says why. ``for_good``: nor would it be after another try."""

    def __init__(self, why: str, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


@dataclass(slots=True)
class Pending:
    """A bundle that the host has."""

    bundle: Bundle
    sources: dict[str, bundle_sources.Source]
    outcome: Outcome | None = None
    lacking: set[str] = field(default_factory=set)
    """Digests of its results that are not here yet."""


class Link:
    """A connected host. `submit` and the like are called from one thread, `hear` and `look` from another."""

    def __init__(self, host: Host, connection: Connection, patience: Patience, transit: Transit) -> None:
        """Start the agent over ``connection``, which is the link's from now on.

        Raises connection.Unreachable and bootstrap.NotStarted. May take for ever: see `connect_timeout`.
        """
        self.host = host
        self._patience = patience
        started = start(host, connection, patience)
        self.channel, self._frames, self.about = started.channel, started.frames, started.about
        self.remark = connection.remark
        """What to tell of how it was reached; mostly empty."""
        self._incoming = Incoming(transit)
        self._outgoing = Outgoing()
        self._lock = threading.RLock()
        self._pending: dict[str, Pending] = {}
        self._forgotten = False
        self._spoilt: dict[str, int] = {}
        """Digest -> how often its bytes arrived wrong, here or there."""
        self._heard = time.monotonic()
        self._questions: dict[int, int] = {}
        """Number of a question that waits for its answer -> how many commands it has."""
        self.prints: list[Fingerprints] = []
        """Answers that have come; the listener takes them away."""
        self._stopped = False
        self.said_bye = False
        self.ran = 0
        self.broken = threading.Event()
        self.wake: Callable[[], None] = lambda: None

    @property
    def slots(self) -> int:
        """Steps at one time."""
        return self.about.slots

    def run(self, broken: Callable[[], None]) -> None:
        """Begin to send, heartbeats among the rest; ``broken`` is called from another thread when that ends."""
        self.channel.run(broken, wire_format.frame(wire_format.PING), self._patience.lease / _BEATS)

    # Called from the scheduler's thread.

    def submit(self, bundle: Bundle) -> None:
        """Send ``bundle``. Raises bundle_sources.InputGone, also when the host was lost meanwhile."""
        pending = Pending(bundle, bundle_sources.sources(bundle))
        with self._lock:
            if self._forgotten:
                raise bundle_sources.InputGone(f"{self.host.name} is lost")
            self._pending[bundle.token] = pending
            self._outgoing.offer(pending.sources)
        self.channel.post(wire_format.bundle_message(_travelling(bundle)))

    def say(self, kind: int, value: Any = None) -> None:
        """Send a message."""
        self.channel.post(wire_format.frame(kind) if value is None else wire_format.message(kind, value))

    def ask(self, number: int, commands: Sequence[str], env: Mapping[str, str]) -> None:
        """Have fingerprint ``commands`` run there, with the variables ``env``; the answer comes to `prints`."""
        self._questions[number] = len(commands)
        self.say(wire_format.ASK, [number, list(commands), dict(env)])

    def has(self, token: str) -> bool:
        """Whether the attempt ``token`` was sent there and has not come back."""
        with self._lock:
            return token in self._pending

    def busy(self) -> bool:
        """Whether anything was sent there that has not come back."""
        with self._lock:
            return bool(self._pending)

    def stop(self, grace: float) -> None:
        """Ask the agent to end everything."""
        self._stopped = True
        self.channel.drop_streams()
        self.say(wire_format.STOP, grace)

    @property
    def ended(self) -> bool:
        """After `stop`: the agent has said that everything has ended, and has itself; or it cannot be reached."""
        return self.broken.is_set() or (self.said_bye and self.channel.ended)

    def forget(self) -> list[Bundle]:
        """The bundles that have not come back; nothing that comes now counts."""
        with self._lock:
            self._forgotten = True
            left = list(self._pending.values())
            self._pending.clear()
        for pending in left:
            if pending.outcome is not None:
                self._incoming.give_up(outcome_digests.wanted(pending.outcome))
        return [pending.bundle for pending in left]

    def close(self) -> None:
        """Close the connection: the agent ends everything and itself. May take a moment."""
        self.channel.close()
        self._incoming.close()

    # Called from the thread that listens.

    def look(self, now: float) -> float:
        """The monotonic time at which to look again. Raises Broken when the host is silent.

        What has arrived and was not read yet is a sign of life, too.
        """
        lease = self._patience.lease
        if self.broken.is_set():
            raise Broken("the connection broke")
        if now - self._heard > lease and not self.channel.waits:
            raise Broken(f"nothing was heard from it for {lease:g} s")
        return max(now, self._heard) + lease / _BEATS

    def hear(self) -> Iterator[tuple[Pending, Outcome]]:
        """Take in what has arrived; the bundles that came back, each before what follows it is looked at.

        Raises Broken, perhaps after bundles that did come back.
        """
        while data := self.channel.take():
            self._heard = time.monotonic()
            try:
                messages = self._frames.feed(data)
            except wire_format.Garbled as error:
                raise _garbled(error) from None
            for kind, payload in messages:
                try:
                    done = self._message(kind, payload)
                except wire_format.Garbled as error:
                    raise _garbled(error) from None
                yield from done
        if data is None and not self.said_bye:
            said = self.channel.complaint()
            raise Broken("the connection broke" + (f": {said}" if said else ""))

    def _message(self, kind: int, payload: memoryview) -> list[tuple[Pending, Outcome]]:
        if self._incoming.waits and kind != wire_format.OUTCOME:
            raise wire_format.Garbled("it sends contents that nobody asked for")
        if kind in (wire_format.PACK, wire_format.PART):
            good, bad = self._incoming.take(kind, payload)
            self._ask_again(bad)
            return self._arrived(good)
        if kind == wire_format.OUTCOME:
            return self._came_back(*check_answers.outcome_of(payload, self._expected))
        if kind == wire_format.WANT:
            digests = check_answers.digests_of(
                payload, self._outgoing.offered, "it asks for what is no input of its steps, or again"
            )
            self._send(digests)
        elif kind == wire_format.BAD:
            digests = check_answers.digests_of(
                payload, self._outgoing.offered, "it complains of what it was not sent"
            )
            self._spoil(digests)
            self._send(digests, careful=True)
        elif kind == wire_format.GONE:
            lost = check_answers.digests_of(
                payload, self._incoming.awaits, "it has lost what nobody asked for"
            )
            raise Broken(f"it lost a result that it had ({len(lost)} files)")
        elif kind == wire_format.ANSWER:
            prints = check_answers.prints_of(payload, self._questions)
            del self._questions[prints.number]
            self.prints.append(prints)
        elif kind == wire_format.TROUBLE:
            raise Broken(check_answers.line(wire_format.value_of(payload)), for_good=True)
        elif kind == wire_format.BYE:
            if not self._stopped:
                raise wire_format.Garbled("it ends without being asked to")
            self.said_bye = True
        elif kind == wire_format.UP:
            raise wire_format.Garbled("it begins anew")
        return []

    def _expected(self, token: str) -> Bundle | None:
        """The bundle of ``token``, when its outcome has not come yet."""
        with self._lock:
            pending = self._pending.get(token)
        return pending.bundle if pending is not None and pending.outcome is None else None

    # Contents on their way there.

    def _send(self, digests: list[str], careful: bool = False) -> None:
        """The agent wants contents: from wherever a bundle that needs them says that they lie."""
        with self._lock:
            known: dict[str, bundle_sources.Source] = {}
            for pending in self._pending.values():
                known.update(pending.sources)
        self.channel.stream(self._outgoing.pieces(digests, known, careful))

    def _spoil(self, digests: list[str]) -> None:
        for digest in digests:
            self._spoilt[digest] = self._spoilt.get(digest, 0) + 1
            if self._spoilt[digest] > 1:
                raise Broken(f"contents arrive damaged, twice ({digest[:12]}…)", for_good=True)

    # Results on their way home.

    def _came_back(self, outcome: Outcome, sizes: dict[str, int]) -> list[tuple[Pending, Outcome]]:
        self._incoming.along(sizes)
        with self._lock:
            pending = self._pending[outcome.token]
        outcome.host = self.host.name
        outcome.discovered = [p for p in outcome.discovered if not p.startswith("/") or os.path.isfile(p)]
        pending.outcome = outcome
        # What a failed step left does not go through the cache.
        store = pending.bundle.store if outcome.ok else None
        pending.lacking = self._incoming.lacking(outcome_digests.wanted(outcome), store)
        asked = self._incoming.unasked(pending.lacking)
        if asked:
            self._ask(asked, sizes)
        return [] if pending.lacking else [self._finish(pending, outcome)]

    def _ask(self, digests: set[str], sizes: dict[str, int]) -> None:
        """Have ``digests`` sent, of which the host has announced the ``sizes``. Raises Broken where there is no room."""
        if not digests <= sizes.keys():
            raise Broken(f"it lost a result that it had ({len(digests - sizes.keys())} files)")
        coming, room = self._incoming.ask({digest: sizes[digest] for digest in digests})
        if coming > room:
            raise Broken(f"it has {coming} bytes to send, and there is room for {room} here", for_good=True)
        self.say(wire_format.FETCH, sorted(digests))

    def _arrived(self, digests: list[str]) -> list[tuple[Pending, Outcome]]:
        found = set(digests)
        done = []
        with self._lock:
            waiting = [p for p in self._pending.values() if p.outcome is not None and p.lacking & found]
        for pending in waiting:
            pending.lacking -= found
            if not pending.lacking and pending.outcome is not None:
                done.append(self._finish(pending, pending.outcome))
        return done

    def _finish(self, pending: Pending, outcome: Outcome) -> tuple[Pending, Outcome]:
        with self._lock:
            self._pending.pop(outcome.token, None)
        self.ran += bool(outcome.ok)
        return pending, outcome

    def _ask_again(self, digests: list[str]) -> None:
        if digests:
            self._spoil(digests)
            self.say(wire_format.FETCH, digests)


def _garbled(error: Exception) -> Broken:
    return Broken(f"it does not speak as an agent does: {error}", for_good=True)


def _travelling(bundle: Bundle) -> Bundle:
    """``bundle`` without what means something here only."""
    from f0make.fast_dataclass import replace

    return replace(bundle, workspace="", store=None, log="", scratch="", host="")

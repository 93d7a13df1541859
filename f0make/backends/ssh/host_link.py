"""One host at work: what was sent there, what waits for contents, and results on their way home."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from f0make.backends import bundle_sources
from f0make.backends.shipped_code import archive
from f0make.backends.ssh import bootstrap, check_answers
from f0make.backends.ssh.agent_channel import Channel
from f0make.backends.ssh.connection import Connection, Unreachable, reason_of
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.staging_store import Transit
from f0make.cache.blobs import Blobs
from f0make.cache.credential_variables import PRIVATE
from f0make.worker.agent import outcome_digests, send, wire_format
from f0make.worker.agent.receive import Intake
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.run_marks import VARIABLE

_BEATS = 4
"""Heartbeats in the length of a lease."""
_SLOW = 40e6
"""Bytes a second of a line that is slow: there large contents are compressed where that makes them smaller."""
_WORTH_FAST = 0.5
"""On others, where it makes them so much smaller: then encrypting the rest takes less time, too."""
_ENOUGH = 4 << 20
"""Bytes after which the speed of a line is known."""
_SENDINGS = 6
"""How often a bundle's content is sent to a host at most: copies there may be damaged, or written to by a step."""


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

    def __init__(
        self, host: Host, connection: Connection, patience: Patience, transit: Transit, careful: bool
    ) -> None:
        """Start the agent over ``connection``, which is the link's from now on.

        Raises connection.Unreachable and stage.NotStarted. May take for ever: see `reach`.
        """
        self.host = host
        self._patience = patience
        self._transit = transit
        digest, data = archive()
        mark = f"f0make-{secrets.token_hex(8)}"
        seconds = max(patience.connect, 5.0)
        try:
            command = bootstrap.command(mark, host.workdir, digest, len(data))
            self.channel = Channel(connection, command, seconds)
            rest = bootstrap.begin(self.channel, mark, host.name, data, seconds)
            hello = {
                "lease": patience.lease,
                "slots": host.slots,
                "careful": careful,
                "env": {**_own_variables(), **host.env},
            }
            self.channel.send(wire_format.message(wire_format.HELLO, hello))
            self._frames = wire_format.Frames(check_answers.LIMITS)
            self.about = self._up(rest, seconds)
            self.slots = self.about.slots
            """Steps at one time."""
        except (Unreachable, bootstrap.NotStarted):
            connection.close()
            raise
        except TimeoutError:
            connection.close()
            raise Unreachable(f"{host.name}: its agent does not answer within {seconds:g} s") from None
        except wire_format.Garbled as error:
            connection.close()
            raise Unreachable(f"{host.name}: what answers there is no agent of f0make's: {error}") from None
        except Exception as error:  # paramiko hands on whatever its thread stumbled over in what arrived.
            connection.close()
            why = "" if isinstance(error, EOFError) else f": {reason_of(error)}"
            raise Unreachable(f"{host.name}: the connection broke before its agent ran{why}") from None
        self._asked: dict[str, int] = {}
        """Digest -> size (bytes) of the contents that the host was asked for and that are not here yet."""
        self.remark = connection.remark
        """What to tell of how it was reached; mostly empty."""
        self._intake = Intake(transit, self._asked)
        self._offers: dict[str, int] = {}
        """Digest of an input of what was sent there -> how often the host may still ask for it."""
        self._lock = threading.RLock()
        self._pending: dict[str, Pending] = {}
        self._forgotten = False
        self._stores: dict[str, Blobs] = {}
        self._spoilt: dict[str, int] = {}
        """Digest -> how often its bytes arrived wrong, here or there."""
        self._heard = time.monotonic()
        self._questions: dict[int, int] = {}
        """Number of a question that waits for its answer -> how many commands it has."""
        self.prints: list[check_answers.Prints] = []
        """Answers that have come; whoever hears takes them away."""
        self._stopped = False
        self.said_bye = False
        self.ran = 0
        self._moved, self._took = 0, 0.0
        self.broken = threading.Event()
        self.wake: Callable[[], None] = lambda: None

    def _up(self, rest: bytes, seconds: float) -> check_answers.About:
        until = time.monotonic() + seconds
        data = rest
        while True:
            for kind, payload in self._frames.feed(data):
                if kind == wire_format.UP:
                    return check_answers.about_of(payload, self.host.slots)
                if kind != wire_format.TROUBLE:
                    raise wire_format.Garbled("it begins with something else than what it is")
                raise bootstrap.NotStarted(
                    "trouble", f"{self.host.name}: {check_answers.line(wire_format.value_of(payload))}"
                )
            data = self.channel.receive(max(0.1, until - time.monotonic()))
            if not data:
                said = self.channel.complaint()
                raise Unreachable(
                    f"{self.host.name}: its agent ended at once" + (f": {said}" if said else "")
                )

    def run(self, broken: Callable[[], None]) -> None:
        """Begin to send, heartbeats among the rest; ``broken`` is called from another thread when that ends."""
        self.channel.run(broken, wire_format.frame(wire_format.PING), self._patience.lease / _BEATS)

    # Called from the scheduler's thread.

    def submit(self, bundle: Bundle) -> None:
        """Send ``bundle``. Raises needs.InputGone, also when the host was lost meanwhile."""
        pending = Pending(bundle, bundle_sources.sources(bundle))
        with self._lock:
            if self._forgotten:
                raise bundle_sources.InputGone(f"{self.host.name} is lost")
            self._pending[bundle.token] = pending
            for digest in pending.sources:
                self._offers[digest] = self._offers.get(digest, 0) + _SENDINGS
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
                self._transit.expect_no_more(outcome_digests.wanted(pending.outcome))
        return [pending.bundle for pending in left]

    def close(self) -> None:
        """Close the connection: the agent ends everything and itself. May take a moment."""
        self.channel.close()
        self._intake.close()

    # Called from the thread that listens.

    def look(self, now: float) -> float:
        """The monotonic time at which to look again. Raises Broken when the host is silent.

        What has arrived and nobody had the time to hear is a sign of life, too.
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
        if self._intake.waits and kind != wire_format.OUTCOME:
            raise wire_format.Garbled("it sends contents that nobody asked for")
        if kind in (wire_format.PACK, wire_format.PART):
            good, bad = self._intake.pack(payload) if kind == wire_format.PACK else self._intake.part(payload)
            self._ask_again(bad)
            return self._arrived(good)
        if kind == wire_format.OUTCOME:
            return self._came_back(*check_answers.outcome_of(payload, self._expected))
        if kind == wire_format.WANT:
            digests = check_answers.digests_of(
                payload, self._offered, "it asks for what is no input of its steps, or again"
            )
            self._send(digests)
        elif kind == wire_format.BAD:
            digests = check_answers.digests_of(payload, self._offered, "it complains of what it was not sent")
            self._spoil(digests)
            self._send(digests, careful=True)
        elif kind == wire_format.GONE:
            lost = check_answers.digests_of(
                payload, self._asked.__contains__, "it has lost what nobody asked for"
            )
            raise Broken(f"it lost a result that it had ({len(lost)} files)")
        elif kind == wire_format.ANSWER:
            prints = check_answers.prints_of(payload, self.host.name, self._questions)
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

    def _offered(self, digest: str) -> bool:
        """Whether the host may ask for ``digest`` (once more, which is counted)."""
        with self._lock:
            left = self._offers.get(digest, 0)
            self._offers[digest] = left - 1
        return left > 0

    # Contents on their way there.

    def _send(self, digests: list[str], careful: bool = False) -> None:
        """The agent wants contents: from wherever a bundle that needs them says that they lie."""
        with self._lock:
            known: dict[str, bundle_sources.Source] = {}
            for pending in self._pending.values():
                known.update(pending.sources)
        lost: list[str] = [digest for digest in digests if digest not in known]
        items = [(digest, known[digest]) for digest in digests if digest in known]

        def pieces() -> Iterator[bytes]:
            for piece in send.stream(items, lost.append, self._worth, careful):
                began = time.monotonic()
                yield piece
                self._moved += len(piece)
                self._took += time.monotonic() - began
            if lost:
                yield wire_format.message(wire_format.VOID, lost)

        self.channel.stream(pieces())

    def _worth(self) -> float:
        slow = self._moved > _ENOUGH and self._moved < _SLOW * max(self._took, 1e-3)
        return send.WORTH if slow else _WORTH_FAST

    def _spoil(self, digests: list[str]) -> None:
        for digest in digests:
            self._spoilt[digest] = self._spoilt.get(digest, 0) + 1
            if self._spoilt[digest] > 1:
                raise Broken(f"contents arrive damaged, twice ({digest[:12]}…)", for_good=True)

    # Results on their way home.

    def _came_back(self, outcome: Outcome, sizes: dict[str, int]) -> list[tuple[Pending, Outcome]]:
        self._intake.along(sizes)
        with self._lock:
            pending = self._pending[outcome.token]
        outcome.host = self.host.name
        outcome.discovered = [p for p in outcome.discovered if not p.startswith("/") or os.path.isfile(p)]
        pending.outcome = outcome
        wanted = outcome_digests.wanted(outcome)
        self._transit.expect(wanted)
        # What a failed step left does not go through the cache.
        store = pending.bundle.store if outcome.ok else None
        pending.lacking = {d for d in wanted if not self._here(store, d)}
        asked = pending.lacking - self._asked.keys()
        if asked:
            self._ask(asked, sizes)
        return [] if pending.lacking else [self._finish(pending, outcome)]

    def _ask(self, digests: set[str], sizes: dict[str, int]) -> None:
        """Have ``digests`` sent, of which the host has announced the ``sizes``. Raises Broken where there is no room."""
        if not digests <= sizes.keys():
            raise Broken(f"it lost a result that it had ({len(digests - sizes.keys())} files)")
        self._asked.update((digest, sizes[digest]) for digest in digests)
        coming, room = sum(self._asked.values()), self._transit.room()
        if coming > room:
            raise Broken(f"it has {coming} bytes to send, and there is room for {room} here", for_good=True)
        self.say(wire_format.FETCH, sorted(digests))

    def _here(self, store: str | None, digest: str) -> bool:
        if self._transit.has(digest):
            return True
        if store is None:
            return False
        if store not in self._stores:
            self._stores[store] = Blobs(store, readonly=True)
        return self._stores[store].has(digest)

    def _arrived(self, digests: list[str]) -> list[tuple[Pending, Outcome]]:
        found = set(digests)
        for digest in digests:
            self._asked.pop(digest, None)
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


def _own_variables() -> dict[str, str]:
    """f0make's variables here that steps may see: what runs on a host finds them, too."""
    hidden = {*PRIVATE, VARIABLE}
    return {n: v for n, v in os.environ.items() if n.startswith("F0MAKE_") and n not in hidden}


def _travelling(bundle: Bundle) -> Bundle:
    """``bundle`` without what means something here only."""
    from f0make.fast_dataclass import replace

    return replace(bundle, workspace="", store=None, log="", scratch="", host="")

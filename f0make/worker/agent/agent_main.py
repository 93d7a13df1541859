"""The agent: runs bundles on a host for the f0make at the other end of its standard input and output.

It writes only below its directory, opens no port, and kills everything that it started as soon as its input
closes or nothing was heard for the length of the lease. Part of what is sent: standard library, Python 3.9.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import Blobs
from f0make.errors import NO_ROOM
from f0make.worker import system
from f0make.worker.agent import agent_gc, host_info, manifest, reap, send, wire_format
from f0make.worker.agent.agent_workers import MISSING, Worker
from f0make.worker.agent.fingerprint_commands import Question
from f0make.worker.agent.hardlinks import Loans
from f0make.worker.agent.message_writer import Writer
from f0make.worker.agent.receive import Intake
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.cores import usable_cores
from f0make.worker.run_marks import VARIABLE
from f0make.workspace.remove import remove_path

_READ = 256 << 10
_REPEATS = 2
"""How often an input that turns out damaged in the store is asked for again."""


class Agent:
    """One connection's agent. ``source`` and ``sink`` are descriptors, ``workdir`` its directory (absolute)."""

    def __init__(self, source: int, sink: int, workdir: str, hello: dict[str, Any]) -> None:
        self._source, self._sink = source, sink
        self._workdir = workdir
        self._lease = float(hello["lease"])
        self._slots = int(hello["slots"] or usable_cores())
        self._mark = host_info.mark_of(os.getpid())
        self._place = os.path.join(workdir, "run", self._mark)
        self._store = Blobs(os.path.join(workdir, "cache"), mode=0o666)  # as what is lent of it needs
        self._intake = Intake(self._store)
        self._loans = Loans(self._store)
        self._environ = self._environment(hello)
        self._selector = selectors.DefaultSelector()
        self._inbox = wire_format.Frames()
        self._buffer = bytearray(_READ)
        self._writer = Writer(sink, self._selector)
        self._say = self._writer.say
        self._workers: list[Worker] = []
        self._ready: deque[Bundle] = deque()
        self._waiting: dict[str, tuple[Bundle, set[str]]] = {}
        """Token -> a bundle and the digests that it waits for."""
        self._repeats: dict[str, int] = {}
        self._wanted: set[str] = set()
        self._known: set[str] = set()
        """Digests known to be in the store."""
        self._held = False
        self._heard = time.monotonic()
        self._left = False

    def run(self) -> int:
        """Serve until the other end is gone; returns the exit code."""
        system.set_reaper()
        try:
            os.makedirs(self._place, 0o700)
            os.makedirs(self._store.directory, 0o700, exist_ok=True)
            self._store.prepare()
        except (OSError, CacheUnusable) as error:
            self._say(
                wire_format.message(wire_format.TROUBLE, f"{self._workdir} cannot be used: {_reason(error)}")
            )
            self._writer.drain(1.0)
            return 1
        for fd in (self._source, self._sink):
            os.set_blocking(fd, False)
        self._selector.register(self._source, selectors.EVENT_READ)
        self._say(wire_format.message(wire_format.UP, host_info.describe(self._workdir, self._slots)))
        try:
            while not self._left:
                self._turn()
        finally:
            self._end_everything(0.0)
            self._intake.close()
            try:
                remove_path(self._place)
            except OSError:
                pass
        self._writer.drain(2.0)
        return 0

    def _environment(self, hello: dict[str, Any]) -> dict[bytes, bytes]:
        own = {n: os.environb[n] for n in (b"PATH", b"HOME", b"USER") if n in os.environb}
        if b"USER" not in own:
            own[b"USER"] = os.environb.get(b"LOGNAME", b"")
        given = {os.fsencode(n): os.fsencode(v) for n, v in hello["env"].items()}
        return {**own, **given, os.fsencode(VARIABLE): os.fsencode(self._mark)}

    # The loop.

    def _turn(self) -> None:
        self._hand_out()
        try:
            self._writer.fill()
        except OSError:
            self._left = True
            return
        now = time.monotonic()
        due = [t for w in self._workers for t in (w.kill_at,) if t is not None]
        pause = min([self._heard + self._lease, *due]) - now
        for key, _ in self._selector.select(max(0.0, pause)):
            if isinstance(key.data, Question):
                self._answer(key.data)
            elif key.data is not None:
                self._hear(key.data)
            elif key.fileobj == self._source:
                self._read()
        now = time.monotonic()
        if now - self._heard > self._lease:
            self._left = True
        for worker in self._workers:
            worker.keep_time(now)

    def _read(self) -> None:
        try:
            got = os.readv(self._source, [self._buffer])
        except BlockingIOError:
            return
        except OSError:
            got = 0
        if not got:
            self._left = True
            return
        self._heard = time.monotonic()
        try:
            for kind, payload in self._inbox.feed(memoryview(self._buffer)[:got]):
                self._take(kind, payload)
        except (OSError, CacheUnusable, wire_format.Garbled) as error:
            why = f"{self._workdir}: {_reason(error)}"
            if getattr(error, "errno", 0) in NO_ROOM:
                why = f"the disk of {self._workdir} is full (make room there, or set workdir to another directory)"
            self._say(wire_format.message(wire_format.TROUBLE, why))
            self._left = True

    def _take(self, kind: int, payload: memoryview) -> None:
        if kind == wire_format.BUNDLE:
            self._queue(wire_format.bundle_of(payload))
        elif kind in (wire_format.PACK, wire_format.PART):
            good, bad = self._intake.pack(payload) if kind == wire_format.PACK else self._intake.part(payload)
            self._arrived(good)
            if bad:
                self._say(wire_format.message(wire_format.BAD, bad))
        elif kind == wire_format.PING:
            self._say(wire_format.frame(wire_format.PONG))
        elif kind == wire_format.FETCH:
            self._fetch(wire_format.value_of(payload))
        elif kind == wire_format.ASK:
            self._ask(*wire_format.value_of(payload))
        elif kind == wire_format.VOID:
            self._void(set(wire_format.value_of(payload)))
        elif kind == wire_format.KILL:
            self._kill(wire_format.value_of(payload))
        elif kind == wire_format.GO_ON:
            self._held = False
        elif kind == wire_format.RECALL:
            self._held = False
            for token in [*self._waiting, *(bundle.token for bundle in self._ready)]:
                self._lose(token, "the run ended before it was started")
            self._waiting.clear()
            self._ready.clear()
        elif kind == wire_format.STOP:
            self._end_everything(float(wire_format.value_of(payload)))
            self._say(wire_format.frame(wire_format.BYE))
            self._left = True

    # Bundles.

    def _queue(self, bundle: Bundle) -> None:
        lacking = set()
        for digest in manifest.digests(bundle):
            if digest not in self._known:
                if self._store.has(digest):
                    self._known.add(digest)
                else:
                    lacking.add(digest)
        self._wait_for(bundle, lacking)

    def _wait_for(self, bundle: Bundle, lacking: set[str]) -> None:
        if not lacking:
            self._ready.append(bundle)
            return
        self._waiting[bundle.token] = bundle, lacking
        asked = sorted(lacking - self._wanted)
        if asked:
            self._wanted.update(asked)
            self._say(wire_format.message(wire_format.WANT, asked))

    def _arrived(self, digests: list[str]) -> None:
        found = set(digests)
        self._loans.arrived(found)
        self._known |= found
        self._wanted -= found
        for token, (bundle, lacking) in list(self._waiting.items()):
            lacking -= found
            if not lacking:
                del self._waiting[token]
                self._ready.append(bundle)

    def _void(self, digests: set[str]) -> None:
        self._wanted -= digests
        for token, (_, lacking) in list(self._waiting.items()):
            if lacking & digests:
                del self._waiting[token]
                self._lose(token, "an input changed before it was sent")

    def _hand_out(self) -> None:
        for worker in self._workers:
            if not self._ready or self._held:
                return
            if worker.bundle is None:
                self._give(worker)
        while self._ready and not self._held and len(self._workers) < self._slots:
            try:
                worker = Worker(self._place, self._store.directory, self._environ)
            except OSError as error:
                if not self._workers:
                    self._lose(self._ready.popleft().token, f"no process can be started: {error.strerror}")
                return
            self._workers.append(worker)
            self._selector.register(worker.line, selectors.EVENT_READ, worker)
            self._give(worker)

    def _give(self, worker: Worker) -> None:
        bundle = self._ready.popleft()
        self._loans.lend(bundle, manifest.digests(bundle))
        worker.send(bundle)

    def _hear(self, worker: Worker) -> None:
        """Read what a worker has sent."""
        try:
            data = worker.line.recv(1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            self._died(worker)
            return
        for kind, about in worker.inbox.feed(data):
            bundle, reason = worker.bundle, worker.reason
            worker.done()
            if bundle is not None:
                self._known.difference_update(self._loans.back(bundle))
            if kind == MISSING and bundle is not None:
                self._damaged(bundle, *about)
                continue
            if bundle is not None:
                if reason and not about.ok:
                    about.message = reason
                self._report(about)

    def _damaged(self, bundle: Bundle, digest: str, why: str) -> None:
        """The store's copy of an input was damaged and has been dropped: ask for it again."""
        self._known.discard(digest)
        self._repeats[digest] = self._repeats.get(digest, 0) + 1
        if self._repeats[digest] > _REPEATS:
            self._lose(bundle.token, why)
        else:
            self._wait_for(bundle, {digest})

    def _died(self, worker: Worker) -> None:
        self._selector.unregister(worker.line)
        self._workers.remove(worker)
        bundle, outcome = worker.bundle, worker.reap()
        reap.end_orphans(self._workers)
        if bundle is not None:
            self._known.difference_update(self._loans.back(bundle))
        if outcome is not None:
            self._report(outcome)

    def _report(self, outcome: Outcome) -> None:
        self._held |= not (outcome.ok or outcome.lost)
        outputs: dict[str, None] = {}
        for path, token in outcome.outputs.items():
            for entry in outcome.trees[path].values() if path in outcome.trees else (token,):
                if entry != "/":
                    outputs[entry[1:65] if entry.startswith("@") else entry[:64]] = None
        if outcome.log:
            outputs[outcome.log] = None
        self._known.update(outputs)
        self._say(wire_format.outcome_message(outcome, self._inline(outputs)))

    def _inline(self, digests: dict[str, None]) -> dict[str, int]:
        """Send small results along: asking for them would take longer. Returns the size of each of ``digests``."""
        pack, room, sizes = send.Pack(), send.INLINE, dict[str, int]()
        for digest in digests:
            try:
                sizes[digest] = size = os.stat(self._store.path(digest)).st_size
                if size <= room and not pack.full:
                    with open(self._store.path(digest), "rb") as file:
                        pack.add(digest, file.read(size))
                    room -= size
            except OSError:
                continue
        if pack:
            self._say(pack.take())
        return sizes

    def _fetch(self, digests: list[str]) -> None:
        gone: list[str] = []

        def answer() -> Iterator[bytes]:
            yield from send.stream(((d, self._store.path(d)) for d in digests), gone.append)
            if gone:
                yield wire_format.message(wire_format.GONE, gone)

        self._writer.stream(answer())

    def _lose(self, token: str, why: str) -> None:
        self._say(wire_format.outcome_message(Outcome(token, False, why, lost=True, started=time.time()), {}))

    def _ask(self, number: int, commands: list[str], env: dict[str, str]) -> None:
        given = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        try:
            question = Question(number, commands, self._place, {**self._environ, **given})
        except OSError as error:
            self._say(
                wire_format.message(
                    wire_format.ANSWER, [number, None, f"no process can be started: {error.strerror}"]
                )
            )
            return
        self._selector.register(question.line, selectors.EVENT_READ, question)

    def _answer(self, question: Question) -> None:
        line = question.line
        said = question.heard()
        if said is not None:
            self._selector.unregister(line)
            self._say(wire_format.message(wire_format.ANSWER, said))

    # Ending.

    def _kill(self, token: str) -> None:
        for worker in self._workers:
            if worker.bundle is not None and worker.bundle.token == token:
                worker.end_step()
                return
        if self._waiting.pop(token, None) is not None:
            self._lose(token, "ended before it was started")
        for bundle in list(self._ready):
            if bundle.token == token:
                self._ready.remove(bundle)
                self._lose(token, "ended before it was started")

    def _end_everything(self, grace: float) -> None:
        self._ready.clear()
        self._waiting.clear()
        reap.end_everything(self._workers, grace)
        self._workers = []


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def main(workdir: str) -> int:
    """Serve the f0make at the other end of standard input and output; returns the exit code."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    sys.dont_write_bytecode = True
    for signum in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    inbox = wire_format.Frames()
    while True:
        data = os.read(source, 4096)
        if not data:
            return 1
        first = inbox.feed(data)
        if first:
            break
    agent = Agent(source, sink, workdir, wire_format.value_of(first[0][1]))
    host_info.clear_away(workdir)
    agent_gc.trim(workdir)
    for kind, payload in first[1:]:
        agent._take(kind, payload)
    agent._inbox = inbox
    return agent.run()

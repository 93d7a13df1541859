"""The backend of a cluster: bundles become an engine's jobs, answers become outcomes. One for all engines.

It decides what is lost. An engine may run a job again, or a worker that was given up may live on: each attempt works
in a directory of its own and its outputs go to the workspace from here, for the token that is still expected.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import uuid
from collections import Counter
from queue import Empty, SimpleQueue

from f0make.backends.base import BareBackend, Capabilities, Lost, Note, SlotsChanged, Tell
from f0make.backends.clusters.check_answer import answer_of
from f0make.backends.clusters.cluster_protocol import Cluster, Gone, Job, Reply
from f0make.backends.clusters.content_exchange import CannotSend, Exchange
from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobError
from f0make.errors import NO_ROOM, F0makeError, UnreachableError
from f0make.files.content_digest import FileError
from f0make.worker import frames, run_marks
from f0make.worker.agent.wire_format import Garbled
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.cluster import child_stores, step_process

AHEAD = 64
"""Short steps that may wait in front of busy slots: so many hide the way to the cluster and back."""
DEEP = 16
"""With so many waiting on the cluster beyond its slots there is time to wait for company:"""
COMPANY = 24
"""bundles that go together (a call takes the scheduler as long as several tasks in one call),"""
PAUSE = 0.01
"""seconds for results that come together."""
PATIENCE = 60.0
"""Seconds without a worker that could run anything that waits; then the run ends."""
AGAIN = 15.0
"""Seconds for a scheduler that has gone to come back."""
GROWTH = 2
"""Steps at least that wait in front of a cluster's slots: an adaptive one grows only while something waits."""
MOST_LOSSES = 10
"""How often a worker may die under the same instance; then it is the step that takes them along."""
MOST_MISSES = 3
"""How often a worker may lack what was sent to it."""
TICK = 1.0
"""Seconds between two looks at the workers while something waits."""


class EngineBackend(BareBackend):
    """Runs bundles on ``cluster``. ``most``: at most so many at one time.

    ``server`` is the address of the exchange's server.
    """

    def __init__(
        self,
        cluster: Cluster,
        workspace: str,
        exchange: Exchange,
        most: int | None = None,
        server: str = "",
    ) -> None:
        self._cluster = cluster
        self._workspace = workspace
        self._exchange = exchange
        self._server = server
        self._most = most
        self._run = uuid.uuid4().hex[:12]
        self.slots = most or 1
        self.capabilities = Capabilities(ahead=AHEAD, shares_workspace=False, elastic=True)
        self._failure = ""
        """Why nothing can run any more; the run is to end."""
        self._inbox: SimpleQueue[Bundle | str | float | bool | None] = SimpleQueue()
        """A bundle, the token of an attempt to kill, the grace in seconds to stop with, whether to go on after a
        failure, None: something is to be collected."""
        self._waiting: list[Bundle] = []
        self._there: dict[str, Bundle] = {}
        """Token -> bundle, of what the cluster has."""
        self._losses: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._held = False
        self._stopped = False
        self._useless_since: float | None = None
        self._thread: threading.Thread | None = None

    def start(self, tell: Tell) -> None:
        """Connect to the cluster and look at what it sees. Raises UnreachableError, UsageError, StateError."""
        self._tell = tell
        self._exchange.open()
        own = run_marks.marker(self._workspace, os.environ.get(run_marks.VARIABLE, ""))
        self._setup = child_stores.Setup(
            {run_marks.VARIABLE: own},
            self._exchange.cache,
            self._exchange.directory,
            self._exchange.probe,
            self._server,
        )
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)
        self._ready: SimpleQueue[BaseException | None] = SimpleQueue()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        error = self._ready.get()
        if error is not None:
            self._stopped = True
            self._thread.join()
            raise error

    def submit(self, bundle: Bundle) -> None:
        """Queue ``bundle``; returns at once. After `stop` its outcome is ``lost``."""
        if self._stopped:
            self._lose(bundle, "the run has ended")
        else:
            self._inbox.put(bundle)

    def kill(self, token: str) -> None:
        """End one attempt and all its processes; its outcome still arrives."""
        self._inbox.put(token)

    def go_on(self) -> None:
        """What is queued may start although a step has failed."""
        self._inbox.put(True)

    def recall(self) -> None:
        """Start nothing more; the outcome of what was queued is ``lost``."""
        self._inbox.put(False)

    def placed(self) -> dict[str, tuple[int, bool]]:
        """No process of a step is one of this machine's to pause."""
        return {}

    def stop(self, grace: float) -> None:
        """End everything on the cluster and leave it; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(float(grace))
            thread.join(grace + 7.0)

    # Everything below runs in the backend's thread.

    def _main(self) -> None:
        try:
            self._cluster.open(lambda: self._inbox.put(None))
            self._look_around()
        except BaseException as error:
            self._leave()
            self._ready.put(error)
            return
        self._ready.put(None)
        grace = 0.0
        try:
            grace = self._loop()
        except BaseException as error:
            self._give_up(f"{type(error).__name__}: {error} (an error in f0make itself)")
            raise
        finally:
            self._stopped = True
            self._end(grace)

    def _look_around(self) -> None:
        """Probe the workers that are there. Raises UnreachableError when none of them can be given files."""
        self._count()
        found = self._cluster.probe(*self._exchange.probe, self._exchange.answer)
        blind = {}
        for worker, (number, why) in found.items():
            if not why and not self._exchange.answered(number):
                why = f"{self._exchange.directory} is another directory there"
            if why:
                blind[worker] = why
        if not blind:
            return
        if self._server:
            # Nobody may rely on a directory that some do not see.
            self._exchange.shared = False
            self._setup.probe = ("", "")
            return
        worker, why = next(iter(blind.items()))
        if len(blind) == len(found):
            raise UnreachableError(self._no_way(why))
        self._note(
            f"{len(blind)} of {len(found)} workers are left out: {worker} does not see the files here ({why})"
        )
        for worker in blind:
            self._cluster.exclude(worker)
        self._count()

    def _no_way(self, why: str) -> str:
        return (
            f"the workers of {self._cluster.name} cannot be given files: {why} (run in a directory of a file system "
            "that they see too, or give --cache http://… that both reach)"
        )

    def _count(self) -> None:
        slots = self._cluster.slots()
        if self._cluster.elastic:
            slots += max(GROWTH, slots // 4)
        slots = min(slots, self._most) if self._most else slots
        slots = max(1, slots)
        if slots != self.slots:
            self.slots = slots
            self._tell(SlotsChanged(slots))

    def _loop(self) -> float:
        looked = time.monotonic()
        while True:
            try:
                told = [self._inbox.get(timeout=TICK if self._waiting or self._there else None)]
                if self._deep():
                    time.sleep(PAUSE)
            except Empty:
                told = []
            while True:
                try:
                    told.append(self._inbox.get_nowait())
                except Empty:
                    break
            for about in told:
                if isinstance(about, Bundle):
                    self._waiting.append(about)
                elif isinstance(about, str):
                    self._kill(about)
                elif isinstance(about, bool):
                    self._after_failure(about)
                elif about is not None:
                    return about
            if self._failure:
                self._give_up(self._failure)
                continue
            try:
                self._replies(self._cluster.collect())
                self._hand_out()
                if time.monotonic() - looked >= TICK:
                    looked = time.monotonic()
                    self._look_at_workers()
            except Gone as error:
                self._gone(str(error))

    def _deep(self) -> bool:
        return len(self._there) >= self.slots + DEEP

    def _hand_out(self) -> None:
        if self._deep() and len(self._waiting) < COMPANY:
            return
        jobs = []
        for bundle in [] if self._held else self._waiting:
            try:
                self._exchange.send(bundle)
            except CannotSend as error:
                self._lost(bundle, str(error))
                continue
            except OSError as error:
                text = f"its inputs cannot be sent: {error.filename or self._workspace}: {error.strerror or error}"
                full = error.errno in NO_ROOM
                self._ended(Outcome(bundle.token, False, text, disk_full=full, started=time.time()))
                continue
            self._there[bundle.token] = bundle
            setup = frames.frame(
                step_process.SETUP,
                tuple(getattr(self._setup, name) for name in child_stores.Setup.__annotations__),
            )
            task = (self._run, bundle.token, setup, frames.frame(frames.BUNDLE, bundle))
            jobs.append(Job(bundle.token, pickle.dumps(task, 4), bundle.resources))
        if not self._held:
            self._waiting.clear()
        if jobs:
            self._cluster.submit(jobs)

    def _replies(self, replies: list[Reply]) -> None:
        for reply in replies:
            bundle = self._there.pop(reply.token, None)
            if bundle is None:
                continue  # It was given up; nobody waits for it.
            if reply.answer is None:
                self._count()
                self._lost(bundle, reply.why)
            else:
                address, _, message = reply.answer.partition(b"\0")
                self._answer(bundle, os.fsdecode(address), message)

    def _answer(self, bundle: Bundle, address: str, message: bytes) -> None:
        self._useless_since = None
        try:
            kind, about = answer_of(message, bundle)
        except Garbled as error:
            text = f"worker {address} answers what cannot be: {error}"
            self._ended(Outcome(bundle.token, False, text, started=time.time(), host=address))
            return
        if isinstance(about, Outcome):
            about.host = address
            self._came(bundle, about)
        elif kind in (step_process.BLIND, step_process.UNFIT):
            self._unfit(bundle, address, about, kind == step_process.BLIND)
        elif kind == step_process.MISSING:
            self._missing(bundle, address, about)
        elif kind == step_process.ENDED:
            self._lost(bundle, f"worker {address} ended it")
        else:
            # Its process there was killed, or ended: it may have been the step's own doing, as it is here.
            self._ended(Outcome(bundle.token, False, about, started=time.time(), host=address))

    def _came(self, bundle: Bundle, outcome: Outcome) -> None:
        if outcome.lost:
            # A full disk there, files that differ: another worker may do.
            self._lost(bundle, f"{outcome.host}: {outcome.message}")
            return
        try:
            self._exchange.bring(bundle, outcome)
        except (BlobError, CacheUnusable) as error:
            self._lost(bundle, f"what it made on {outcome.host} cannot be had: {error}")
            return
        except FileError as error:
            outcome.ok, outcome.message = False, str(error)
        except OSError as error:
            outcome.ok, outcome.disk_full = False, error.errno in NO_ROOM
            outcome.message = (
                f"its outputs cannot be brought here: {error.filename or ''}: {error.strerror or error}"
            )
        self._losses.pop(bundle.instance, None)
        self._ended(outcome)

    def _unfit(self, bundle: Bundle, address: str, why: str, blind: bool) -> None:
        self._note(f"worker {address} is left out: {why}")
        self._cluster.exclude(address)
        self._count()
        if not self._cluster.slots():
            self._fail(
                self._no_way(why) if blind else f"no worker of {self._cluster.name} can run steps: {why}"
            )
        self._lose(bundle, why)

    def _missing(self, bundle: Bundle, address: str, digest: str) -> None:
        """A worker does not find what was put there: a cache that was trimmed meanwhile, or a slow file system."""
        self._misses[bundle.token] += 1
        if self._misses[bundle.token] > MOST_MISSES:
            text = f"worker {address} does not find the content {digest[:12]} that it needs"
            self._ended(Outcome(bundle.token, False, text, started=time.time(), host=address))
            return
        self._exchange.forget(bundle)
        time.sleep(0.1)
        self._waiting.append(bundle)

    def _lost(self, bundle: Bundle, why: str) -> None:
        self._losses[bundle.instance] += 1
        if self._losses[bundle.instance] >= MOST_LOSSES:
            text = f"it was lost {MOST_LOSSES} times in a row: {why}"
            self._ended(Outcome(bundle.token, False, text, started=time.time()))
            return
        self._note(f"{bundle.instance}: {why}; it runs again")
        self._lose(bundle, why)

    def _note(self, text: str) -> None:
        self._tell(Note(text))

    def _ended(self, outcome: Outcome) -> None:
        """A step has come to its end, well or not: after a failure nothing more is handed out before `go_on`."""
        self._held |= not outcome.ok
        self._tell(outcome)

    def _lose(self, bundle: Bundle, why: str) -> None:
        self._tell(Outcome(bundle.token, False, why, lost=True, started=time.time()))

    def _kill(self, token: str) -> None:
        bundle = self._there.pop(token, None)
        if bundle is not None:
            self._cluster.cancel([token])
        else:
            bundle = next((b for b in self._waiting if b.token == token), None)
            if bundle is not None:
                self._waiting.remove(bundle)
        if bundle is not None:
            self._lose(bundle, "it was ended")

    def _after_failure(self, go_on: bool) -> None:
        self._held = False
        if not go_on:
            for bundle in self._waiting:
                self._lose(bundle, "the run ended before it was started")
            self._waiting.clear()
            self._recall()

    def _recall(self) -> None:
        """Take back what the cluster has and no worker has begun."""
        try:
            begun = self._cluster.running(self._run) if self._there else None
        except Gone:
            return  # The next look at it finds that out too.
        if begun is not None:
            tokens = [token for token in self._there if token not in begun]
            self._cluster.cancel(tokens)
            for token in tokens:
                self._lose(self._there.pop(token), "the run ended before it was started")

    def _look_at_workers(self) -> None:
        """End the run when for a while no worker could run anything of what waits."""
        self._count()
        if not self._there or any(self._cluster.able(b.resources) for b in self._there.values()):
            self._useless_since = None
            return
        if self._useless_since is None:
            self._useless_since = time.monotonic()
            first = next(iter(self._there.values()))
            what = f" that could run {first.instance}" if self._cluster.slots() else ""
            self._note(f"{self._cluster.name} has no worker{what} now; waiting up to {PATIENCE:g} s for one")
        elif time.monotonic() - self._useless_since >= PATIENCE:
            self._fail(f"for {PATIENCE:g} s {self._cluster.name} had no worker that could run what is left")

    def _gone(self, why: str) -> None:
        """The scheduler is lost with all that it had: wait a moment for it to come back."""
        self._note(f"{why}; trying again for {AGAIN:g} s")
        lost, self._there = self._there, {}
        until = time.monotonic() + AGAIN
        while True:
            try:
                self._cluster.close()
                self._cluster.open(lambda: self._inbox.put(None))
                break
            except UnreachableError:
                if time.monotonic() >= until or (not self._inbox.empty() and self._told_to_stop()):
                    self._fail(f"{why}, and it did not come back")
                    break
                time.sleep(0.5)
        for bundle in lost.values():
            self._lose(bundle, why)

    def _told_to_stop(self) -> bool:
        """Whether the grace of `stop` is among what was told; the order of the rest stays."""
        told = []
        while not self._inbox.empty():
            told.append(self._inbox.get())
        for about in told:
            self._inbox.put(about)
        return any(isinstance(about, float) for about in told)

    def _fail(self, why: str) -> None:
        self._failure = f"{why} (what is finished is kept: run again to go on)"
        self._tell(Lost(self._failure))

    # The end.

    def _give_up(self, why: str) -> None:
        for bundle in [*self._there.values(), *self._waiting]:
            self._lose(bundle, why)
        self._there.clear()
        self._waiting.clear()

    def _end(self, grace: float) -> None:
        try:
            if self._there:
                self._cluster.cancel(list(self._there))
            self._give_up("the run ended before it was finished")
            if not self._cluster.end(self._run, grace + 2.0):
                self._note(f"not every worker of {self._cluster.name} has said that its steps are ended")
        except (Gone, F0makeError) as error:
            self._note(f"{self._cluster.name}: {error}")
        finally:
            self._leave()

    def _leave(self) -> None:
        self._cluster.close()
        self._exchange.close()

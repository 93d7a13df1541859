"""Who runs what on this machine: slots of both kinds, the bundles that wait, and what a failure holds up."""

from __future__ import annotations

import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable

from f0make.backends.local import process_journal
from f0make.backends.local.crash_report import Obituaries
from f0make.backends.local.forked_workers import ForkedPool, ForkedSlot
from f0make.backends.local.forkserver import ForkServer
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_settings import Settings
from f0make.worker import frames, system
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.local.jobserver.token_pool import Jobserver
    from f0make.backends.local.loky_slot import LokySlot
    from f0make.backends.local.resource_trackers import Trackers

_STARTS = 3
"""How many workers in a row may fail to start before their bundles are given back."""


class Crew:
    """Up to ``jobs`` busy workers. Not thread-safe; what may take time is for the backend's thread only.

    Shell steps go to workers forked by ``server`` while there is one, everything else to loky's. ``done`` hears
    of every outcome.
    """

    def __init__(
        self,
        jobs: int,
        settings: Settings,
        variables: dict[str, str],
        server: ForkServer | None,
        done: Callable[[Outcome], None],
        jobserver: Jobserver | None = None,
    ) -> None:
        self._jobs = jobs
        self._settings = settings
        self._variables = variables
        self.expected = 0
        """Forked workers to be started before there is a bundle for them."""
        self.importing: dict[str, str] = {}
        """Variables for loky's processes only."""
        self._done = done
        self._jobserver = jobserver
        self._doubtful = False
        """A step has failed: a make inside it may have kept tokens."""
        self.starved = False
        """The jobserver had no token for what is queued: it waits until `tokens_there`."""
        files = (*jobserver.watched, *jobserver.inherited) if jobserver is not None else ()
        self._pool = ForkedPool(server, files) if server is not None else None
        self._queue: deque[Bundle] = deque()
        self._too_large: set[str] = set()
        """Tokens of queued bundles that a forked worker cannot take."""
        self._forked: list[ForkedSlot] = []
        self._loky: list[LokySlot] = []
        self._retired: list[Slot] = []
        self._failed: deque[int] = deque()
        """Failures that the run has not judged yet: the worker's place on the board, 0 for loky's."""
        self._over = ""
        """Why nothing starts any more."""
        self._failed_starts = 0
        self._obituaries = Obituaries()
        self._trackers: Trackers | None = None

    @property
    def slots(self) -> list[Slot]:
        """All that may be running something."""
        return [*self._forked, *self._loky]

    # Handing out.

    def submit(self, bundle: Bundle) -> bool:
        """Hand ``bundle`` over or queue it; False when the backend's thread has to look at what has changed.

        That is when `add_slots` has something to do, a token is to be waited for, or `patience` is another one.
        """
        if self._over:
            self.lose(bundle, self._over)
            return True
        self._queue.append(bundle)
        if self._doubtful:
            self._settle()
        self.hand_out()
        if self.starved:
            return False
        return not self._short_of_forked() and (not self._queue or len(self._loky) >= self._jobs)

    def _short_of_forked(self) -> bool:
        pool = self._pool
        if pool is None or not pool.usable:
            return False
        return len(self._forked) < min(self._jobs, max(self.expected, len(pool.sent)))

    def hand_out(self) -> None:
        """Give queued bundles to whoever can take them."""
        while self._queue and not self._failed and not self.starved and self._hand(self._queue[0]):
            self._queue.popleft()

    def tokens_there(self) -> None:
        """The jobserver may have a token: try with one bundle, for others want tokens, too."""
        self.starved = False
        if self._queue and not self._failed and self._hand(self._queue[0]):
            self._queue.popleft()
            self.starved = bool(self._queue)

    def _settle(self) -> None:
        """Have all tokens where they belong, if nothing runs."""
        idle = not (self._pool and self._pool.sent) and all(slot.token is None for slot in self.slots)
        if self._jobserver is not None and idle:
            self._jobserver.settle()
            self._doubtful = False

    def _hand(self, bundle: Bundle) -> bool:
        busy = sum(1 for slot in self._loky if slot.bundle is not None)
        queued = len(self._pool.sent) if self._pool is not None else 0
        if self._for_forked(bundle):
            assert self._pool is not None
            # Queued ahead only where nobody but the takers of the queue needs a slot.
            if busy and busy + queued >= self._jobs:
                return False
            if self._pool.offer(bundle):
                return True
            if queued:
                return False
            self._too_large.add(bundle.token)
        if busy + queued < self._jobs:
            for slot in self._loky:
                if slot.ready and slot.bundle is None:
                    if self._jobserver is not None:
                        slot.token = self._jobserver.purse.take()
                        self.starved = slot.token is None
                        if self.starved:
                            return False
                    self._too_large.discard(bundle.token)
                    slot.send(bundle)
                    return True
        return False

    def _for_forked(self, bundle: Bundle) -> bool:
        usable = self._pool is not None and self._pool.usable
        return usable and bundle.kind == "shell" and bundle.token not in self._too_large

    def add_slots(self) -> list[Slot]:
        """Start workers for what is queued; the new slots."""
        added: list[Slot] = []
        while self._short_of_forked():
            assert self._pool is not None
            try:
                self._forked.append(self._pool.add_slot(self._settings))
                added.append(self._forked[-1])
            except OSError:
                self._without_forked()
        self.expected = 0
        if self._failed:
            return added
        waiting = sum(1 for bundle in self._queue if not self._for_forked(bundle))
        starting = sum(1 for slot in self._loky if not slot.ready)
        while len(self._loky) < self._jobs and starting < waiting:
            try:
                self._loky.append(self._new_loky())
            except OSError as error:
                self._not_started(str(error))
                break
            added.append(self._loky[-1])
            starting += 1
        return added

    def _new_loky(self) -> LokySlot:
        from f0make.backends.local.loky_slot import LokySlot
        from f0make.backends.local.resource_trackers import Trackers

        if self._trackers is None:
            self._trackers = Trackers()
        self._trackers.start(self.importing)
        return LokySlot(self._settings, {**self._variables, **self.importing})

    def _without_forked(self) -> None:
        """No worker can be forked: loky's take over; what forked ones are running they may finish."""
        if self._pool is not None:
            self._pool.usable = False
            self._queue.extendleft(reversed(self._pool.take_back()))

    def _not_started(self, why: str) -> None:
        """A worker of loky's did not come up: go on with those there are, or give the bundles back."""
        self._failed_starts += 1
        if self._failed_starts < _STARTS:
            time.sleep(0.2 * self._failed_starts)
        elif any(slot.ready for slot in self._loky):
            self._jobs = sum(1 for slot in self._loky if slot.ready)
        else:
            # There is no other place to run them; `lost` would only bring them back.
            self._failed_starts = 0
            while self._queue:
                bundle = self._queue.popleft()
                self._done(Outcome(bundle.token, False, f"no worker process can be started: {why}"))

    # Taking in.

    def take_in(self, slot: Slot, data: bytes) -> None:
        """A worker has sent ``data``."""
        for kind, about in slot.inbox.feed(data):
            if kind == frames.READY:
                slot.ready, slot.pid = True, about
                self._failed_starts = 0
            elif kind in (frames.RETURNED, frames.STARVED):
                self.starved |= kind == frames.STARVED
                self._put_back([self._pool.returned(about) if self._pool is not None else None])
            else:
                self._report(slot, about)

    def _report(self, slot: Slot, outcome: Outcome) -> None:
        bundle, reason = slot.bundle, slot.reason
        if isinstance(slot, ForkedSlot):
            assert self._pool is not None
            bundle = self._pool.finished(outcome.token)
        self._doubtful |= not outcome.ok
        self._give_token(slot)
        slot.done()
        if bundle is not None:
            if reason and not outcome.ok:
                outcome.message = reason
            self._note_failure(slot, outcome)
            self.hand_out()
            self._done(outcome)

    def _give_token(self, slot: Slot, dead: bool = False) -> None:
        """Give back the token of ``slot``; forked workers do so themselves while they live."""
        if self._jobserver is None:
            return
        token = slot.token if dead or not isinstance(slot, ForkedSlot) else None
        if token is not None:
            slot.token = None
            self._jobserver.purse.give(token)

    def _note_failure(self, slot: Slot, outcome: Outcome) -> None:
        if not self._settings.careful or outcome.ok or outcome.lost:
            return
        place = slot.place if isinstance(slot, ForkedSlot) and slot in self._forked else 0
        self._failed.append(place)
        self._hold(place)

    def _hold(self, place: int, on: bool = True) -> None:
        if self._pool is not None:
            self._pool.server.board.hold(place, on)

    def _put_back(self, bundles: Iterable[Bundle | None]) -> None:
        """Bundles come back that were not started: they wait again, or are lost when nothing starts any more."""
        for bundle in reversed([b for b in bundles if b is not None]):
            if self._over:
                self.lose(bundle, self._over)
            else:
                self._queue.appendleft(bundle)

    def go_on(self) -> None:
        """The run has judged its oldest failure, and goes on."""
        if self._failed:
            place = self._failed.popleft()
            if place not in self._failed:
                self._hold(place, False)
            self.hand_out()

    def withdraw(self, why: str) -> None:
        """What has not started and has no slot to come is ``lost``."""
        waiting = [*(self._pool.take_back() if self._pool is not None else ()), *self._queue]
        self._queue.clear()
        if self._pool is not None:
            self._pool.wait_until_steady(self._forked)
        free = max(0, self._jobs - sum(1 for slot in self.slots if slot.bundle is not None))
        self._queue.extend(waiting[:free])
        self.hand_out()
        for bundle in waiting[free:]:
            self.lose(bundle, why)

    def end(self, why: str) -> bool:
        """Nothing starts any more: what was not started is ``lost``. Whether there was anything."""
        self._over = why
        self._hold(0)
        waiting = [*(self._pool.take_back() if self._pool is not None else ()), *self._queue]
        self._queue.clear()
        for bundle in waiting:
            self.lose(bundle, why)
        return bool(waiting)

    def lose(self, bundle: Bundle, why: str) -> None:
        """``bundle`` is given back through no fault of its step."""
        self._done(Outcome(bundle.token, False, why, lost=True, started=time.time()))

    # Steps and workers that end before their time.

    def patience(self) -> float | None:
        """Seconds until the next deadline, None when there is none."""
        times = [slot.kill_at for slot in self.slots if slot.kill_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def keep_time(self) -> None:
        """Kill what was told to end and has not."""
        for slot in self.slots:
            if slot.kill_at is not None and time.monotonic() >= slot.kill_at:
                slot.kill_step()

    def kill(self, token: str) -> None:
        """End the attempt ``token``, wherever it is."""
        if self._pool is not None:
            self._put_back(self._pool.take_back())
            self._pool.wait_until_steady(self._forked)
        for slot in self.slots:
            if slot.bundle is not None and slot.bundle.token == token:
                slot.end_step()
                return
        for bundle in self._queue:
            if bundle.token == token:
                self._queue.remove(bundle)
                self.lose(bundle, "ended before it was started")
                return

    def died(self, slot: Slot, own: str, directory: str) -> None:
        """A worker is gone: end what its step left, report the step, and forget the slot.

        ``own`` identifies the workspace, ``directory`` is that of the journal.
        """
        code, bundle = slot.died(), slot.bundle
        if isinstance(slot, ForkedSlot):
            self._forked.remove(slot)
            self._recover(slot)
        else:
            self._loky = [other for other in self._loky if other is not slot]
        sessions = {slot.pid, slot.left_group(directory)} - {0}
        spared = {other.pid for other in self.slots}
        if self._pool is not None:
            spared.add(self._pool.server.pid)
        if slot.pid:
            process_journal.end_orphans(spared, own, slot.sent or self._settings.since, sessions)
        self._doubtful = True
        self._give_token(slot, dead=True)
        slot.close()
        self._retired.append(slot)
        process_journal.forget(directory, [slot.pid])
        if bundle is not None:
            outcome = self._obituaries.of(bundle, slot.pid, code, slot.reason)
            if self._pool is not None:
                self._pool.finished(bundle.token)
            self._note_failure(slot, outcome)
            slot.done()
            self._done(outcome)
        elif not slot.ready:
            if isinstance(slot, ForkedSlot):
                self._without_forked()
            else:
                self._not_started(f"it ended with {code}" if code is not None else "it ended at once")

    def _recover(self, gone: ForkedSlot) -> None:
        """Find what ``gone`` had taken off the queue without telling: that was not started, and waits again."""
        assert self._pool is not None
        waiting = self._pool.take_back()
        self._pool.wait_until_steady(self._forked)
        for slot in self._forked:
            try:
                self.take_in(slot, slot.line.recv(1 << 20, socket.MSG_DONTWAIT))
            except OSError:
                continue
        self._put_back([*self._pool.missing([gone, *self._forked]), *waiting])

    # The end.

    def dismiss(self, until: float) -> None:
        """Let every worker end, and kill those that are there at the monotonic time ``until``."""
        if self._pool is not None:
            self._pool.shut()
        for slot in self._forked:
            slot.wait_ready(until)
        for other in self._loky:
            if not other.ready:
                system.kill(other.pid, signal.SIGKILL)
        for each in self.slots:
            each.close()
        for each in [*self.slots, *self._retired]:
            each.join(until)
        for each in self.slots:
            self._give_token(each, dead=True)

    @property
    def pids(self) -> list[int]:
        """Process ids of all workers that there were."""
        return [slot.pid for slot in [*self.slots, *self._retired] if slot.pid]

    def give_up(self, why: str) -> None:
        """Whatever has no outcome yet gets ``lost``."""
        left = [*(self._pool.sent.values() if self._pool is not None else ()), *self._queue]
        left += [slot.bundle for slot in self._loky if slot.bundle is not None]
        self._queue.clear()
        self._forked, self._loky, self._retired = [], [], []
        for bundle in left:
            self.lose(bundle, why)

    def close(self) -> None:
        """End what was started beside the workers."""
        if self._trackers is not None:
            self._trackers.stop()
        if self._pool is not None:
            self._pool.close()
        if self._jobserver is not None:
            self._jobserver.close()

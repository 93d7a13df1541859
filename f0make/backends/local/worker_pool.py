"""Who runs what on this machine: bundles that wait and that run, and what a failure holds up."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable

from f0make.backends.local import process_journal
from f0make.backends.local.forked_workers import ForkedPool, ForkedSlot
from f0make.backends.local.forkserver import ForkServer
from f0make.backends.local.roster import Roster
from f0make.backends.local.slot import Obituaries, Slot, SlotTokens
from f0make.backends.local.worker_settings import Settings
from f0make.worker import frames
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.local.jobserver.token_pool import Jobserver


class WorkerPool:
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
        self._settings = settings
        self._done = done
        self.tokens = SlotTokens(jobserver)
        self._forks = ForkedPool(server, self.tokens.files) if server is not None else None
        self.workers = Roster(jobs, settings, variables, self._forks)
        self._queue: deque[Bundle] = deque()
        self._too_large: set[str] = set()
        """Tokens of queued bundles that a forked worker cannot take."""
        self._failed: deque[int] = deque()
        """Failures that the run has not judged yet: the worker's place on the board, 0 for loky's."""
        self._over = ""
        """Why nothing starts any more."""
        self._obituaries = Obituaries()

    @property
    def slots(self) -> list[Slot]:
        """All that may be running something."""
        return self.workers.slots

    # Handing out.

    def submit(self, bundle: Bundle) -> bool:
        """Hand ``bundle`` over or queue it; False when the backend's thread has to look at what has changed.

        That is when `add_slots` has something to do, a token is to be waited for, or `patience` is another one.
        """
        if self._over:
            self.lose(bundle, self._over)
            return True
        self._queue.append(bundle)
        if self.tokens.doubtful:
            self.tokens.settle(not (self._forks and self._forks.sent), self.slots)
        self.hand_out()
        if self.tokens.starved:
            return False
        return not self.workers.short_of_forked and (
            not self._queue or len(self.workers.loky) >= self.workers.jobs
        )

    def hand_out(self) -> None:
        """Give queued bundles to whoever can take them."""
        while self._queue and not self._failed and not self.tokens.starved and self._hand(self._queue[0]):
            self._queue.popleft()

    def tokens_there(self) -> None:
        """The jobserver may have a token: try with one bundle, for others want tokens, too."""
        self.tokens.starved = False
        if self._queue and not self._failed and self._hand(self._queue[0]):
            self._queue.popleft()
            self.tokens.starved = bool(self._queue)

    def _hand(self, bundle: Bundle) -> bool:
        busy = sum(1 for slot in self.workers.loky if slot.bundle is not None)
        queued = len(self._forks.sent) if self._forks is not None else 0
        if self._for_forked(bundle):
            assert self._forks is not None
            # Queued ahead only where nobody but the takers of the queue needs a slot.
            if busy and busy + queued >= self.workers.jobs:
                return False
            if self._forks.offer(bundle):
                return True
            if queued:
                return False
            self._too_large.add(bundle.token)
        if busy + queued < self.workers.jobs:
            for slot in self.workers.loky:
                if slot.ready and slot.bundle is None:
                    if not self.tokens.take(slot):
                        return False
                    self._too_large.discard(bundle.token)
                    slot.send(bundle)
                    return True
        return False

    def _for_forked(self, bundle: Bundle) -> bool:
        return self.workers.can_fork and bundle.kind == "shell" and bundle.token not in self._too_large

    def add_slots(self) -> list[Slot]:
        """Start workers for what is queued; the new slots."""
        added: list[Slot] = []
        while self.workers.short_of_forked:
            try:
                added.append(self.workers.add_forked())
            except OSError:
                self._without_forked()
        self.workers.expected = 0
        if self._failed:
            return added
        waiting = sum(1 for bundle in self._queue if not self._for_forked(bundle))
        starting = sum(1 for slot in self.workers.loky if not slot.ready)
        while len(self.workers.loky) < self.workers.jobs and starting < waiting:
            try:
                added.append(self.workers.add_loky())
            except OSError as error:
                self._not_started(str(error))
                break
            starting += 1
        return added

    def _without_forked(self) -> None:
        """No worker can be forked: loky's take over; what forked ones are running they may finish."""
        if self._forks is not None:
            self._forks.usable = False
            self._queue.extendleft(reversed(self._forks.take_back()))

    def _not_started(self, why: str) -> None:
        """A worker of loky's did not come up: go on with those there are, or give the bundles back."""
        if self.workers.go_on_without():
            return
        # There is no other place to run them; `lost` would only bring them back.
        while self._queue:
            bundle = self._queue.popleft()
            self._done(Outcome(bundle.token, False, f"no worker process can be started: {why}"))

    # Taking in.

    def take_in(self, slot: Slot, data: bytes) -> None:
        """A worker has sent ``data``."""
        for kind, about in slot.inbox.feed(data):
            if kind == frames.READY:
                slot.ready, slot.pid = True, about
                self.workers.came_up()
            elif kind in (frames.RETURNED, frames.STARVED):
                self.tokens.starved |= kind == frames.STARVED
                self._put_back([self._forks.returned(about) if self._forks is not None else None])
            else:
                self._report(slot, about)

    def _report(self, slot: Slot, outcome: Outcome) -> None:
        bundle, reason = slot.bundle, slot.reason
        if isinstance(slot, ForkedSlot):
            assert self._forks is not None
            bundle = self._forks.finished(outcome.token)
        self.tokens.doubtful |= not outcome.ok
        self.tokens.give(slot)
        slot.done()
        if bundle is not None:
            if reason and not outcome.ok:
                outcome.message = reason
            self._note_failure(slot, outcome)
            self.hand_out()
            self._done(outcome)

    def _note_failure(self, slot: Slot, outcome: Outcome) -> None:
        if outcome.ok or outcome.lost:
            return
        place = slot.place if isinstance(slot, ForkedSlot) and slot in self.workers.forked else 0
        self._failed.append(place)
        self._hold(place)

    def _hold(self, place: int, on: bool = True) -> None:
        if self._forks is not None:
            self._forks.server.board.hold(place, on)

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
        waiting = [*(self._forks.take_back() if self._forks is not None else ()), *self._queue]
        self._queue.clear()
        if self._forks is not None:
            self._forks.wait_until_steady(self.workers.forked)
        free = max(0, self.workers.jobs - sum(1 for slot in self.slots if slot.bundle is not None))
        self._queue.extend(waiting[:free])
        self.hand_out()
        for bundle in waiting[free:]:
            self.lose(bundle, why)

    def end(self, why: str) -> bool:
        """Nothing starts any more: what was not started is ``lost``. Whether there was anything."""
        self._over = why
        self._hold(0)
        waiting = [*(self._forks.take_back() if self._forks is not None else ()), *self._queue]
        self._queue.clear()
        for bundle in waiting:
            self.lose(bundle, why)
        return bool(waiting)

    def lose(self, bundle: Bundle, why: str) -> None:
        """``bundle`` is given back through no fault of its step."""
        self._done(Outcome(bundle.token, False, why, lost=True, started=time.time()))

    # Steps and workers that end before their time.

    def kill(self, token: str) -> None:
        """End the attempt ``token``, wherever it is."""
        if self._forks is not None:
            self._put_back(self._forks.take_back())
            self._forks.wait_until_steady(self.workers.forked)
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
        self.workers.remove(slot)
        if isinstance(slot, ForkedSlot):
            self._recover(slot)
        sessions = {slot.pid, slot.left_group(directory)} - {0}
        spared = {other.pid for other in self.slots}
        if self._forks is not None:
            spared.add(self._forks.server.pid)
        if slot.pid:
            process_journal.end_orphans(spared, own, slot.sent or self._settings.since, sessions)
        self.tokens.doubtful = True
        self.tokens.give(slot, dead=True)
        self.workers.retire(slot)
        process_journal.forget(directory, [slot.pid])
        if bundle is not None:
            outcome = self._obituaries.of(slot, bundle, code)
            if self._forks is not None:
                self._forks.finished(bundle.token)
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
        assert self._forks is not None
        waiting = self._forks.take_back()
        self._forks.wait_until_steady(self.workers.forked)
        for slot in self.workers.forked:
            try:
                self.take_in(slot, slot.line.recv(1 << 20, socket.MSG_DONTWAIT))
            except OSError:
                continue
        self._put_back([*self._forks.missing([gone, *self.workers.forked]), *waiting])

    # The end.

    def dismiss(self, until: float) -> None:
        """Let every worker end, and kill those that are there at the monotonic time ``until``."""
        self.workers.dismiss(until)
        for slot in self.slots:
            self.tokens.give(slot, dead=True)

    def give_up(self, why: str) -> None:
        """Whatever has no outcome yet gets ``lost``."""
        left = [*(self._forks.sent.values() if self._forks is not None else ()), *self._queue]
        left += [slot.bundle for slot in self.workers.loky if slot.bundle is not None]
        self._queue.clear()
        self.workers.forget()
        for bundle in left:
            self.lose(bundle, why)

    def close(self) -> None:
        """End what was started beside the workers."""
        self.workers.close()
        self.tokens.close()

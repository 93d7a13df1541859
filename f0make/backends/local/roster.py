"""Which workers this machine has: forked ones and loky's, started when there is something for them, and let go."""

from __future__ import annotations

import time

from f0make.backends.local.forked_workers import ForkedPool, ForkedSlot
from f0make.backends.local.slot import Slot
from f0make.backends.local.worker_settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.local.loky_private import Trackers
    from f0make.backends.local.loky_slot import LokySlot

_STARTS = 3
"""How many workers in a row may fail to start before their bundles are given back."""


class Roster:
    """Workers for up to ``jobs`` bundles at one time. Not thread-safe; all but the properties may take time.

    ``forks`` is the queue of the forked ones, None when none can be forked here. ``variables`` are for loky's processes.
    """

    def __init__(
        self, jobs: int, settings: Settings, variables: dict[str, str], forks: ForkedPool | None
    ) -> None:
        self.jobs = jobs
        self.expected = 0
        """Forked workers to be started before there is a bundle for them."""
        self.importing: dict[str, str] = {}
        """Variables for loky's processes only."""
        self.forked: list[ForkedSlot] = []
        self.loky: list[LokySlot] = []
        self._settings = settings
        self._variables = variables
        self._forks = forks
        self._retired: list[Slot] = []
        self._failed_starts = 0
        self._trackers: Trackers | None = None

    @property
    def slots(self) -> list[Slot]:
        """All that may be running something."""
        return [*self.forked, *self.loky]

    @property
    def can_fork(self) -> bool:
        """Whether shell steps go to forked workers."""
        return self._forks is not None and self._forks.usable

    @property
    def short_of_forked(self) -> bool:
        """Whether `add_forked` has something to do."""
        if self._forks is None or not self._forks.usable:
            return False
        return len(self.forked) < min(self.jobs, max(self.expected, len(self._forks.sent)))

    def add_forked(self) -> ForkedSlot:
        """Fork one more worker. Raises OSError."""
        assert self._forks is not None
        slot = self._forks.add_slot(self._settings)
        self.forked.append(slot)
        return slot

    def add_loky(self) -> LokySlot:
        """Have loky start one more worker. Raises OSError."""
        from f0make.backends.local.loky_private import Trackers
        from f0make.backends.local.loky_slot import LokySlot

        if self._trackers is None:
            self._trackers = Trackers()
        self._trackers.start(self.importing)
        slot = LokySlot(self._settings, {**self._variables, **self.importing})
        self.loky.append(slot)
        return slot

    def came_up(self) -> None:
        """A worker has come up."""
        self._failed_starts = 0

    def go_on_without(self) -> bool:
        """A worker of loky's did not come up: try again, or go on with those there are; False when there is none."""
        self._failed_starts += 1
        if self._failed_starts < _STARTS:
            time.sleep(0.2 * self._failed_starts)
        elif ready := sum(1 for slot in self.loky if slot.ready):
            self.jobs = ready
        else:
            self._failed_starts = 0
            return False
        return True

    def remove(self, slot: Slot) -> None:
        """``slot`` has ended: it runs nothing any more."""
        self.forked = [other for other in self.forked if other is not slot]
        self.loky = [other for other in self.loky if other is not slot]

    def retire(self, slot: Slot) -> None:
        """Let go of ``slot``, which was removed."""
        slot.close()
        self._retired.append(slot)

    def patience(self) -> float | None:
        """Seconds until the next deadline, None when there is none."""
        times = [slot.kill_at for slot in self.slots if slot.kill_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def keep_time(self) -> None:
        """Kill what was told to end and has not."""
        for slot in self.slots:
            slot.keep_time(time.monotonic())

    def dismiss(self, until: float) -> None:
        """Let every worker end, and kill those that are there at the monotonic time ``until``."""
        if self._forks is not None:
            self._forks.shut()
        for forked in self.forked:
            forked.wait_ready(until)
        for slot in self.slots:
            slot.close()
        for slot in [*self.slots, *self._retired]:
            slot.join(until)

    @property
    def pids(self) -> list[int]:
        """Process ids of all workers that there were."""
        return [slot.pid for slot in [*self.slots, *self._retired] if slot.pid]

    def forget(self) -> None:
        """There are no workers any more."""
        self.forked, self.loky, self._retired = [], [], []

    def close(self) -> None:
        """End what was started beside the workers."""
        if self._trackers is not None:
            self._trackers.stop()
        if self._forks is not None:
            self._forks.close()

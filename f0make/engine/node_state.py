"""What can become of an instance in a run."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """States of a node, in the order in which it may go through them."""

    WAITING = "waiting"
    """Something it needs is not settled."""
    READY = "ready"
    """Decided to run; waits for room, for a retry's delay, or for a temp input to be made again."""
    RUNNING = "running"
    CURRENT = "current"
    RESTORED = "restored"
    RAN = "ran"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def settled(self) -> bool:
        """Nothing more will become of it."""
        return self not in (State.WAITING, State.READY, State.RUNNING)

    @property
    def good(self) -> bool:
        """Its outputs are there, or can be."""
        return self in (State.CURRENT, State.RESTORED, State.RAN)

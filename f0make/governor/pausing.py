"""Stopping and continuing the processes of running steps, and remembering for how long."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from f0make.governor.guardian import Guardian
from f0make.governor.react import Act, Member
from f0make.worker import system, terminate

if TYPE_CHECKING:
    from f0make.worker.bundle import Outcome

_ROUNDS = 5
"""How often a step is searched for processes that it started while it was being stopped."""
_WORDS = {Act.PAUSE: "is paused", Act.EVICT: "is ended and will run again", Act.RESUME: ""}


class Pausing:
    """The steps that are paused now, and those that were."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.placed: dict[str, tuple[int, bool]] = {}
        """Token -> its worker's process id, and whether the step runs inside of it (python)."""
        self._clock = clock
        self._stopped: dict[str, list[int]] = {}
        self._paused_for: dict[str, float] = {}
        self._evicted: set[str] = set()
        self._said: set[tuple[str, Act]] = set()
        self._guardian = Guardian()

    def do(self, act: Act, member: Member, backend: Any) -> str:
        """Do it; words for a person when it is the first time for this step."""
        if act is Act.PAUSE:
            if not self._pause(member):
                return ""
        elif act is Act.RESUME:
            self._resume(member)
        else:
            self._evicted.add(member.token)
            self._resume(member)
            backend.kill(member.token)
        if (member.token, act) in self._said:
            return ""
        self._said.add((member.token, act))
        return _WORDS[act]

    def _pause(self, member: Member) -> bool:
        place = self.placed.get(member.token)
        if place is None:
            return False
        worker, inside = place
        stopped: list[int] = self._stopped.setdefault(member.token, [])
        for _ in range(_ROUNDS):
            found = [worker] if inside else []
            found += terminate.descendants([worker])
            new = [pid for pid in found if pid not in stopped]
            if not new:
                break
            stopped += new
            try:
                self._guardian.tell(pid for pids in self._stopped.values() for pid in pids)
            except OSError:
                # Without a guardian nothing may stay stopped when f0make is killed: it is not paused.
                self._go_on(member.token)
                return False
            for pid in new:
                system.kill(pid, signal.SIGSTOP)
        if not stopped:
            del self._stopped[member.token]
            return False
        member.paused = self._clock()
        return True

    def _resume(self, member: Member) -> None:
        self._go_on(member.token)
        if member.paused is not None:
            passed = self._clock() - member.paused
            self._paused_for[member.token] = self._paused_for.get(member.token, 0.0) + passed
            member.paused = None

    def _go_on(self, token: str) -> None:
        for pid in self._stopped.pop(token, ()):
            system.kill(pid, signal.SIGCONT)

    def forget(self, token: str) -> float:
        """The attempt is over; the seconds that it was paused."""
        self._go_on(token)
        return self._paused_for.get(token, 0.0)

    def was_evicted(self, token: str) -> bool:
        """Whether the attempt was ended to make room."""
        return token in self._evicted

    def excuses(self, outcome: Outcome) -> bool:
        """Whether a failure is the governor's doing: put back, or out of time because it was paused."""
        late = outcome.token in self._paused_for and outcome.message.startswith("timed out")
        return outcome.token in self._evicted or late

    def release(self) -> None:
        """Let every paused step go on; nothing is stopped any more."""
        for token in list(self._stopped):
            self._go_on(token)
        try:
            self._guardian.dismiss()
        except OSError:
            pass

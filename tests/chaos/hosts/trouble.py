"""What can befall a host, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.sshd.host import Host
from tests.support.sshd.proxy import Proxy


@dataclass
class Place:
    """A host, and the way to it that f0make uses."""

    host: Host
    way: Proxy

    def agents(self) -> list[int]:
        """f0make's own processes there that are nobody's step: the oldest Python of each connection."""
        return sorted(p for p, c in self.host.processes().items() if c.split()[0].endswith("python3"))[:1]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def nothing(place: Place) -> None:
    """No repair is needed."""


def cut(place: Place) -> None:
    place.way.cut()


def corrupt(place: Place) -> None:
    place.way.corrupt("received", 100)
    place.way.corrupt("sent", 100)


def stall(place: Place) -> None:
    place.way.stall()


def flow(place: Place) -> None:
    place.way.stall(False)


def refuse(place: Place) -> None:
    place.way.refuse()
    place.way.cut()


def admit(place: Place) -> None:
    place.way.refuse(False)


def unplug(place: Place) -> None:
    place.host.cable(False)


def plug(place: Place) -> None:
    place.host.cable(True)


def freeze_sshd(place: Place) -> None:
    place.host.signal_sshd(signal.SIGSTOP)


def thaw_sshd(place: Place) -> None:
    place.host.signal_sshd(signal.SIGCONT)


def kill_sshd(place: Place) -> None:
    place.host.stop_sshd()


def start_sshd(place: Place) -> None:
    place.host.start_sshd()


def kill_agent(place: Place) -> None:
    _signal(place.agents(), signal.SIGKILL)


def freeze_agent(place: Place) -> None:
    _signal(place.agents(), signal.SIGSTOP)


def thaw_agent(place: Place) -> None:
    _signal(list(place.host.processes()), signal.SIGCONT)


TROUBLES: list[tuple[Callable[[Place], None], Callable[[Place], None]]] = [
    (cut, nothing),
    (cut, nothing),
    (corrupt, nothing),
    (stall, flow),
    (stall, flow),
    (refuse, admit),
    (unplug, plug),
    (freeze_sshd, thaw_sshd),
    (kill_sshd, start_sshd),
    (kill_agent, nothing),
    (freeze_agent, thaw_agent),
]
"""What happens, and what ends it."""

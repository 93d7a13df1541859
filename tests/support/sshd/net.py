"""Addresses and links between this machine and the namespaces of hosts."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Link:
    """A veth pair; ``outside`` is the name of our end, the host's is `eth0`."""

    outside: str
    ours: str
    theirs: str
    ours6: str
    theirs6: str


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else on this machine chooses addresses meanwhile."""
    path = Path(tempfile.gettempdir()) / f"f0make-sshd-{os.geteuid()}.lock"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _ip(lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True, capture_output=True)


def connect(pid: int) -> Link:
    """Link this machine with the network namespace of process ``pid``; raises CalledProcessError.

    Addresses are of 198.18.0.0/15, which is set aside for benchmarks, and of a unique local IPv6 prefix.
    """
    with _alone():
        used = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
        while True:
            number = random.SystemRandom().randrange(1, 2**15 - 1)
            b, c, d = 18 + (number >> 14), number >> 6 & 255, (number & 63) * 4
            if f" 198.{b}.{c}.{d + 1}/" not in used and f" f0v{number}@" not in used:
                break
        prefix = f"fdf0:f0f0:{number:x}::"
        link = Link(
            f"f0v{number}", f"198.{b}.{c}.{d + 1}", f"198.{b}.{c}.{d + 2}", prefix + "1", prefix + "2"
        )
        _ip(
            f"link add {link.outside} type veth peer name eth0 netns {pid}\n"
            f"address add {link.ours}/30 dev {link.outside}\n"
            f"address add {link.ours6}/64 dev {link.outside} nodad\n"
            f"link set {link.outside} up\n"
        )
    inside = (
        f"address add {link.theirs}/30 dev eth0\n"
        f"address add {link.theirs6}/64 dev eth0 nodad\n"
        "link set eth0 up\nlink set lo up\n"
    )
    enter = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
    subprocess.run(enter, input=inside, text=True, check=True, capture_output=True)
    return link


def cable(pid: int, plugged: bool) -> None:
    """Pull or plug the host's cable: packets are lost without a word, as long as it is out."""
    state = "up" if plugged else "down"
    lines = f"link set eth0 {state}\n"
    subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"], input=lines, text=True, check=True)


def disconnect(link: Link) -> None:
    """Remove the link (it also goes with the namespace, a little later)."""
    subprocess.run(["ip", "link", "delete", link.outside], capture_output=True, check=False)

"""A host as a small machine: namespaces of its own for network, mounts and processes."""

from __future__ import annotations

import functools
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

INSIDE = Path("/mnt/host")
"""Where a host sees its own directory."""
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_INIT = r"""
set -e
here=$1 masked=$2 owner=$3 python=$4
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount -t tmpfs tmpfs /mnt
mkdir /mnt/host /mnt/python
mount --bind "$here" /mnt/host
[ -z "$python" ] || mount --bind "$python" /mnt/python
for name in passwd group shadow; do mount --bind "/mnt/host/$name" "/etc/$name"; done
mount --bind /mnt/host/home /home
mount --bind /mnt/host/tmp /tmp
for name in "$masked" "$owner"; do
    [ ! -d "$name" ] || mount -t tmpfs -o mode=755 tmpfs "$name"
done
# The Python that was chosen may lie in the home that was just hidden.
[ -z "$python" ] || { mkdir -p "$python"; mount --bind /mnt/python "$python"; }
cd /
echo ready
# Until the test goes away, in whatever way: then this ends, and everything in here with it.
while read -r _; do :; done
kill -9 -1
"""


@functools.cache
def possible() -> str:
    """Empty where machines can be made, else why not."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("unshare", "nsenter", "ip", "mount"):
        if shutil.which(tool) is None:
            return f"no {tool}"
    # The link is part of the probe: containers often allow namespaces and no links.
    script = "mount -t tmpfs tmpfs /mnt && ip link add f0probe type veth peer name f0peer"
    done = subprocess.run(
        [*_UNSHARE, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


class Machine:
    """Namespaces, kept by a process that ends when its standard input closes."""

    def __init__(self, here: Path, masked: Path, python: Path | None) -> None:
        """``here`` is its own directory, ``masked`` and the home of the user here are hidden, except ``python``."""
        with open(here / "init.log", "w") as log:
            self._outer = subprocess.Popen(
                [
                    *_UNSHARE,
                    "bash",
                    "-c",
                    _INIT,
                    "init",
                    *map(str, (here, masked, Path.home(), python or "")),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._outer.stdout is not None
        ready, _, _ = select.select([self._outer.stdout], [], [], 20.0)
        if not ready or self._outer.stdout.readline() != "ready\n":
            self._outer.kill()
            said = (here / "init.log").read_text()
            raise RuntimeError(f"the namespaces of a host could not be set up: {said}")
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        self.pid = int(children[0])
        """The first process in the namespaces, by its number outside."""
        self._namespace = os.readlink(f"/proc/{self.pid}/ns/pid")

    @property
    def root(self) -> Path:
        """The host's file system, from outside."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def alive(self) -> bool:
        return self._outer.poll() is None

    def start(self, *argv: str) -> None:
        """Start a program in the host, and wait for it; raises CalledProcessError with what it said."""
        subprocess.run(
            [*self.enter(), *argv], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def enter(self) -> list[str]:
        """The words before a command that let it run in the host, as root."""
        return ["nsenter", "-t", str(self.pid), "--net", "--mount", "--pid", "--"]

    def processes(self) -> dict[int, str]:
        """Everything that runs there except its first process, zombies left out: pid -> command line."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.pid:
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != self._namespace:
                    continue
                command = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if command:  # A zombie's is empty.
                found[int(entry)] = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return found

    def crash(self) -> None:
        """Everything in there is gone at once, and its network with it: no packet says so."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._outer.wait(20)

    def close(self) -> None:
        """End it all."""
        assert self._outer.stdin is not None and self._outer.stdout is not None
        self.crash()
        self._outer.stdin.close()
        self._outer.stdout.close()
        # The mounts are gone with the last process in there, a moment later.
        until = time.monotonic() + 5.0
        while self.processes() and time.monotonic() < until:
            time.sleep(0.01)

"""One host: an sshd with users, in namespaces of its own or, where those are not allowed, on a loopback port."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.paths import PROJECT

from . import files, machine, net
from .files import Layout
from .keys import known
from .machine import INSIDE, Machine
from .pythons import find

"""The project: hidden from hosts, which have nothing but Python."""
FORCE = "F0_TEST_LOOPBACK"
"""Set to have hosts on loopback ports although namespaces are possible."""


def namespaces() -> str:
    """Empty where a host gets namespaces, else why not."""
    return "asked not to" if os.environ.get(FORCE) else machine.possible()


def unavailable() -> str:
    """Empty where hosts can be started at all, else why not."""
    for tool in ("sshd", "ssh-keygen", "ssh"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            return f"no {tool}"
    return ""


def _own() -> str:
    """The version of this Python."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


class Host:
    """A host that is up and accepts ``authorized`` (a public key). Close it."""

    def __init__(
        self,
        name: str,
        authorized: str,
        *,
        python: str | None = None,
        bare: bool = False,
        shell: str = "/bin/bash",
        greeting: str = "",
        sshd: str = "",
        below: Path | None = None,
    ) -> None:
        """``python``: a version ("3.9"), None: the system's, "": none at all. ``bare``: only plain tools on PATH.

        ``greeting`` is shell text for `.bashrc`; ``sshd`` are more lines of sshd_config; the host's files lie
        ``below`` a directory. Raises LookupError when there is no such Python.
        """
        self.name = name
        self.base = Path(tempfile.mkdtemp(prefix=f"f0make-{name}-", dir=below))
        self.base.chmod(0o755)
        apart = not namespaces()
        user = "worker" if apart else getpass.getuser()
        home = "/home/worker" if apart else str(self.base / "home" / user)
        self.layout = Layout(self.base, INSIDE if apart else self.base, user, home)
        self.machine: Machine | None = None
        self.link: net.Link | None = None
        self._sshd: subprocess.Popen[bytes] | None = None
        files.homes(self.layout)
        prefix = self._programs(python, bare)
        (self.base / "home" / user / ".bashrc").write_text(greeting)
        self.public = files.host_key(self.layout)
        self.port, more = 22, ""
        try:
            if apart:
                files.users(self.layout, shell)
                self.machine = Machine(self.base, PROJECT, prefix)
                self.link = net.connect(self.machine.pid)
                self.address, self.address6 = self.link.theirs, self.link.theirs6
                listen = ("0.0.0.0", "::")
            else:
                with socket.create_server(("127.0.0.1", 0)) as probe:
                    self.port = probe.getsockname()[1]
                self.address, self.address6 = "127.0.0.1", ""
                listen = ("127.0.0.1",)
                more = f"HOME={home}"
            self.config = files.configuration(
                self.layout, authorized, self.path, self.port, listen, sshd, more
            )
            self.start_sshd()
        except BaseException:
            self.close()
            raise

    def _programs(self, python: str | None, bare: bool) -> Path | None:
        """Fill PATH; returns the prefix of the Python that the host must see, if it is not the system's."""
        own = f"{self.layout.seen}/bin"
        self.path = own if bare or python == "" else f"{own}:/usr/local/bin:/usr/bin:/bin"
        if bare or python == "":
            files.tools(self.layout)
        if python == "":
            return None
        if python is None and not bare:
            return None  # The system's.
        prefix, executable = find(python or _own())
        files.python(self.layout, str(executable))
        return None if prefix == Path("/usr") else prefix

    # Looking

    @property
    def user(self) -> str:
        return self.layout.user

    @property
    def known(self) -> str:
        """The lines of a known_hosts file for this host."""
        lines = known(self.address, self.port, self.public)
        return lines + known(self.address6, self.port, self.public) if self.address6 else lines

    def inside(self, path: str) -> Path:
        """Where ``path`` of the host lies for the test; relative: in the user's home."""
        full = Path(self.layout.home) / path
        return self.machine.root / full.relative_to("/") if self.machine else full

    @property
    def workdir(self) -> Path:
        """The default workdir, from outside."""
        return self.inside(".cache/f0make")

    @property
    def log(self) -> str:
        """What sshd said."""
        path = self.base / "sshd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def logins(self) -> int:
        """How often somebody was let in since the host was made."""
        return self.log.count("Accepted publickey")

    @property
    def visits(self) -> int:
        """How often somebody connected."""
        return self.log.count("Connection from")

    def processes(self) -> dict[int, str]:
        """What runs there beside sshd and what sshd needs; only with namespaces."""
        assert self.machine is not None
        return {
            p: c for p, c in self.machine.processes().items() if not c.startswith(("sshd", "/usr/sbin/sshd"))
        }

    def quiet(self, seconds: float = 5.0) -> dict[int, str]:
        """Wait until nothing runs there; returns what still does after ``seconds``."""
        until = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.02)
        return left

    # Doing

    def sh(self, script: str) -> str:
        """Run shell text in the host as root; returns what it prints."""
        assert self.machine is not None
        done = subprocess.run(
            [*self.machine.enter(), "sh", "-ec", script],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{script!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def tmpfs(self, path: str, options: str) -> str:
        """Mount a tmpfs that belongs to the user at ``path`` of their home; returns its full path there."""
        full = f"{self.layout.home}/{path}"
        self.sh(
            f"mkdir -p {full}; mount -t tmpfs -o {options},uid={files.UID},gid={files.UID},mode=755 tmpfs {full}"
        )
        return full

    def start_sshd(self) -> None:
        """Start the server and wait until it answers."""
        argv = ["/usr/sbin/sshd", "-f", self.config, "-E", f"{self.layout.seen}/sshd.log"]
        if self.machine is not None:
            self.machine.start(*argv)
        else:
            if os.geteuid() == 0:
                Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
            self._sshd = subprocess.Popen([*argv, "-D"], stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 20.0
        while "Server listening" not in self.log.rpartition("Received signal")[2]:
            if time.monotonic() > until:
                raise RuntimeError(f"sshd does not start: {self.log}")
            time.sleep(0.01)

    def _servers(self) -> list[int]:
        assert self.machine is not None
        return [p for p, c in self.machine.processes().items() if c.startswith(("sshd", "/usr/sbin/sshd"))]

    def signal_sshd(self, number: int) -> None:
        """Send a signal to every sshd there: the one that listens and those of connections."""
        for pid in self._servers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop_sshd(self) -> None:
        """Kill every sshd there: connections break, new ones are refused."""
        self.signal_sshd(signal.SIGKILL)
        until = time.monotonic() + 5.0
        while self._servers() and time.monotonic() < until:
            time.sleep(0.01)

    def cable(self, plugged: bool) -> None:
        """Pull (False) or plug the network cable."""
        assert self.machine is not None
        net.cable(self.machine.pid, plugged)

    def crash(self) -> None:
        """The machine is gone at once, without a word on its network."""
        assert self.machine is not None
        self.machine.crash()

    def change_key(self) -> None:
        """From now on the host has another key."""
        self.public = files.host_key(self.layout)
        for pid in self._servers():
            os.kill(pid, signal.SIGKILL)
        self.start_sshd()

    def close(self) -> None:
        """End everything and remove every trace."""
        if self.machine is not None:
            self.machine.close()
        if self.link is not None:
            net.disconnect(self.link)
        if self._sshd is not None:
            self._sshd.terminate()
            self._sshd.wait(10)
        shutil.rmtree(self.base, ignore_errors=True)

"""What the tests of remote hosts share: hosts for a whole worker of pytest, and the command line that uses them."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.f0 import F0, Result, events, shell_code
from tests.support.sshd.client import Client
from tests.support.sshd.host import Host, namespaces, unavailable
from tests.support.sshd.proxy import Proxy


class Farm:
    """A user and hosts that stay up between tests; a test that breaks a host takes a fresh one."""

    def __init__(self, below: Path) -> None:
        self.below = below
        self.client = Client(below)
        self.standing: dict[str, Host] = {}
        self.count = itertools.count(1)

    def host(self, name: str) -> Host:
        """The host ``name`` of this worker, started when it is first asked for."""
        if name not in self.standing:
            self.standing[name] = Host(name, self.client.public, below=self.below)
        return self.standing[name]

    def close(self) -> None:
        for host in self.standing.values():
            host.close()
        self.client.close()


class Running:
    """A run in the background."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.began = time.monotonic()

    def until(self, *flags: Path, seconds: float = 20.0) -> None:
        """Wait until all ``flags`` exist; the run must go on."""
        deadline = time.monotonic() + seconds
        while not all(flag.exists() for flag in flags):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                out, err = self.process.communicate()
                raise AssertionError(
                    f"no {flags} in a run that ended with {self.process.returncode}: {out}{err}"
                )
            time.sleep(0.01)

    def end(self, code: int | None = 0, seconds: float = 40.0) -> Result:
        """Wait for the end; ``code`` is the exit code that is expected."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"the run hangs: {out}{err}") from None
        assert "Traceback (most recent call last)" not in err, err
        ended = shell_code(self.process.returncode)
        assert code is None or ended == code, (ended, out, err)
        return Result(ended, out, err, events(out))


class Remote(F0):
    """The command line of a user who has hosts."""

    def __init__(self, workspace: Path, farm: Farm) -> None:
        super().__init__(workspace)
        self.farm = farm
        self.client = farm.client
        self.number = next(farm.count)
        self.mine: list[Host] = []
        self.used: list[Host] = []
        self.proxies: list[Proxy] = []
        self.running: list[Running] = []
        self.prefix = self.client.prefix

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """As for every test, with the home of that user and no agent of the developer's."""
        env = super().environment({"HOME": str(self.client.home), **(more or {})})
        if "SSH_AUTH_SOCK" not in (more or {}):
            env.pop("SSH_AUTH_SOCK", None)
        return env

    def standing(self, *names: str) -> list[Host]:
        """Hosts that other tests use, too: leave them as they are."""
        hosts = [self.farm.host(name) for name in names]
        self.used += [host for host in hosts if host not in self.used]
        return hosts

    def fresh(self, name: str, **how: Any) -> Host:
        """A host for this test alone."""
        host = Host(name, self.client.public, below=self.farm.below, **how)
        self.mine.append(host)
        return host

    def proxy(self, host: Host) -> Proxy:
        """Another way to ``host``, that can be cut and stalled."""
        self.proxies.append(Proxy(host))
        return self.proxies[-1]

    def item(self, host: Host | Proxy, **more: object) -> str:
        """The item of a hosts file; on a standing host with a workdir of this test's own."""
        if (host.host if isinstance(host, Proxy) else host) in self.used:
            more = {"workdir": f"{host.layout.home}/work/{self.number}", **more}
        return self.client.item(host, **more)

    def workdir(self, host: Host) -> Path:
        """What `item` names, from outside."""
        return host.inside(f"work/{self.number}") if host in self.used else host.workdir

    def workdir_there(self, host: Host) -> str:
        """What `item` names, as the host sees it."""
        return (
            f"{host.layout.home}/work/{self.number}"
            if host in self.used
            else f"{host.layout.home}/.cache/f0make"
        )

    def inside_any(self, host: Host, text: str) -> list[Path]:
        """The files below this test's workdir at ``host`` that hold ``text``."""
        files = (path for path in self.workdir(host).rglob("*") if path.is_file() and not path.is_symlink())
        return [path for path in files if text.encode() in path.read_bytes()]

    def hosts(self, *hosts: Host | Proxy, **more: object) -> None:
        """Write `hosts.yaml` beside the workspace for ``hosts``, whose keys are known; ``more`` goes to every item."""
        self.client.trust(*hosts)
        self.hosts_text("".join(self.item(host, **more) for host in hosts))

    def hosts_text(self, items: str) -> None:
        """Write `hosts.yaml` with these items."""
        self.file.write_text("hosts:\n" + items)

    @property
    def file(self) -> Path:
        """The hosts file."""
        return self.workspace.parent / "hosts.yaml"

    def there(self, *args: str, jobs: int = 0, code: int | None = 0, **how: Any) -> Result:
        """A run with the hosts file; by default nothing runs here."""
        return self.run("--hosts", str(self.file), f"-j{jobs}", *args, code=code, **how)

    def begin(self, *args: str, jobs: int = 0, env: Mapping[str, str] | None = None) -> Running:
        """Start such a run in the background."""
        argv = ("run", "recipe.yaml", "--json", "--hosts", str(self.file), f"-j{jobs}", *args)
        running = Running(self.start(*argv, env=env))
        self.running.append(running)
        return running

    def records(self) -> list[str]:
        """The instance of every record of a success in the workspace's log, in order."""
        lines = (self.workspace / ".f0make/records.log").read_bytes().splitlines()
        return [json.loads(line[16:])["instance"] for line in lines if line[9:16] == b"record "]

    def close(self) -> None:
        """Close this test's hosts; on the others nothing of it may run any more."""
        for running in self.running:
            running.process.kill()
            running.process.communicate()
        try:
            if not namespaces():
                for host in self.used:
                    left = host.quiet()
                    assert not left, (host.name, left)
        finally:
            for one in [*self.proxies, *self.mine]:
                one.close()


def ran_at(result: Result) -> dict[str, str]:
    """Instance -> host, of the step events that name one."""
    return {e["step"]: e["host"] for e in result.events if e["event"] == "step" and "host" in e}


def host_events(result: Result, name: str | None = None) -> list[tuple[str, str]]:
    """(status, reason) of the host events, of one host or all."""
    return [
        (e["status"], e.get("reason", ""))
        for e in result.events
        if e["event"] == "host" and name in (None, e["host"])
    ]


apart = pytest.mark.skipif(bool(namespaces()), reason=f"hosts have no namespaces: {namespaces()}")
"""For tests that need a host that is a machine of its own."""


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """The hosts of this worker."""
    if unavailable():
        pytest.skip(f"no ssh server here: {unavailable()}")
    farm = Farm(tmp_path_factory.mktemp("farm"))
    yield farm
    farm.close()


@pytest.fixture
def remote(tmp_path: Path, farm: Farm) -> Iterator[Remote]:
    """The command line in an empty workspace, of a user with hosts."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    one = Remote(workspace, farm)
    yield one
    one.close()

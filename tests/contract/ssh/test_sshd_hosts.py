"""The hosts that other tests use are what those tests take them for."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.contract_tools import wait_for
from tests.support.f0 import F0
from tests.support.paths import PROJECT
from tests.support.remote_tools import Remote, apart
from tests.support.sshd import host as sshd_host
from tests.support.sshd.client import Client
from tests.support.sshd.host import Host
from tests.support.sshd.proxy import Proxy


@apart
def test_a_host_is_a_machine_of_its_own(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.client.trust(host)
    before = host.logins
    script = f"id -un; pwd; ls -d {PROJECT}/f0make {remote.workspace} 2> /dev/null; ps -e -o comm= | sort -u"
    done = remote.client.run(host, script)
    lines = done.stdout.splitlines()
    assert lines[:2] == [host.user, "/home/worker"], done
    assert not [line for line in lines if line.startswith("/") and line != "/home/worker"], done
    assert "pytest" not in lines and "sshd" in lines, done
    assert host.logins == before + 1


@apart
def test_a_host_with_plain_tools_and_a_python_of_its_own(remote: Remote) -> None:
    try:
        host = remote.fresh("old", python="3.9", bare=True, greeting="echo welcome")
    except LookupError as error:
        pytest.skip(str(error))
    remote.client.trust(host)
    done = remote.client.run(host, "python3 -V; command -v perl; echo $PATH")
    assert done.stdout.splitlines() == ["welcome", done.stdout.splitlines()[1], "/mnt/host/bin"], done
    assert done.stdout.splitlines()[1].startswith("Python 3.9."), done


@apart
def test_breaking_a_host(remote: Remote) -> None:
    host = remote.fresh("weak")
    remote.client.trust(host)

    def sleeper() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        argv = remote.client.ssh_argv(host, "echo up; sleep 60")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        return process

    one = sleeper()
    wait_for(lambda: "sleep 60" in host.processes().values())
    host.signal_sshd(signal.SIGSTOP)
    time.sleep(0.2)
    assert one.poll() is None
    host.signal_sshd(signal.SIGCONT)
    host.stop_sshd()
    assert one.wait(5) == 255
    host.start_sshd()
    host.sh("kill -9 $(pidof sleep)")
    assert not host.quiet()
    host.cable(False)
    options = remote.client.ssh_argv(host, "true")
    options[1:1] = ["-o", "ConnectTimeout=1"]
    assert subprocess.run(options, capture_output=True, check=False).returncode == 255
    host.cable(True)
    assert remote.client.run(host, "true").returncode == 0
    host.change_key()
    assert "HOST IDENTIFICATION HAS CHANGED" in remote.client.run(host, "true").stderr
    small = host.tmpfs("small", "size=64k,noexec")
    remote.client.trust(host)
    done = remote.client.run(host, f"head -c 1000000 /dev/zero > {small}/file")
    assert "No space left" in done.stderr
    assert host.inside("small/file").stat().st_size == 65536
    host.crash()
    assert subprocess.run(options, capture_output=True, check=False).returncode == 255


def test_a_host_on_a_loopback_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sshd_host.unavailable():
        pytest.skip(sshd_host.unavailable())
    monkeypatch.setenv(sshd_host.FORCE, "1")
    client = Client(tmp_path)
    host = Host("loop", client.public, below=tmp_path)
    try:
        client.trust(host)
        assert client.run(host, "echo $HOME").stdout == f"{host.layout.home}\n"
    finally:
        host.close()


def test_a_proxy_cuts_stalls_and_corrupts(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    proxy = Proxy(host)
    remote.client.trust(proxy)

    def start(script: str) -> subprocess.Popen[bytes]:
        argv = remote.client.ssh_argv(proxy, script)
        pipe = subprocess.PIPE  # Of its own for the input, too: the end of another one would end `cat`.
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)

    try:
        whole = start("head -c 300000 /dev/zero").communicate(timeout=20)[0]
        assert len(whole) == 300000 and proxy.received > 300000 > proxy.sent > 500
        one = start("echo up; cat")
        assert one.stdout is not None and one.stdout.readline() == b"up\n"
        proxy.stall()
        time.sleep(0.2)
        assert one.poll() is None and proxy.alive == 1
        proxy.stall(False)
        proxy.cut()
        assert one.wait(10) == 255 and proxy.alive == 0
        one.communicate()
        proxy.corrupt("received", 100_000)
        said = start("head -c 300000 /dev/zero").communicate(timeout=20)[1]
        assert b"message authentication code incorrect" in said or b"Corrupted MAC" in said, said
        proxy.refuse()
        last = start("true")
        assert last.wait(10) == 255
        last.communicate()
    finally:
        proxy.close()


def test_a_prefix_starts_the_command_elsewhere(f0: F0) -> None:
    f0.prefix = ["env", "COLUMNS=40"]
    assert f0("--version").code == 0

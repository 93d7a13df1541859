"""Reaching a host comes to an end, whatever happens to the connection and whenever: a link, or a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from f0make.backends.ssh.bootstrap import NotStarted
from f0make.backends.ssh.connect_timeout import reach
from f0make.backends.ssh.connection import Unreachable
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.host_keys import Refused
from f0make.cache.blobs import Blobs
from tests.chaos.test_remote_failures import flag, hosts, pair
from tests.support.contract_tools import wait_for
from tests.support.remote_tools import Remote, apart, host_events, ran_at
from tests.support.sshd.proxy import Proxy

WAYS = ("received", "sent")
FAST = ("--lease", "2s", "--connect-timeout", "2s")


def target(remote: Remote, proxy: Proxy) -> Host:
    """The host behind ``proxy``, as a hosts file would have it."""
    return Host(
        proxy.name,
        address=proxy.address,
        port=proxy.port,
        user=proxy.user,
        key=str(remote.client.key),
        workdir=f"{proxy.layout.home}/work/{remote.number}",
        known_hosts=str(remote.client.known_hosts),
    )


def attempt(host: Host, place: Path, connect: float) -> str:
    """Try to reach ``host``: the reason why not, empty when its agent runs."""
    try:
        link = reach(host, Patience(connect=connect), Blobs(str(place)))
    except (Refused, Unreachable, NotStarted) as error:
        return str(error)
    link.close()
    return ""


def counted(remote: Remote, proxy: Proxy, place: Path) -> dict[str, int]:
    """Bytes each way until an agent that is there already runs."""
    assert not attempt(target(remote, proxy), place, 5.0)
    before = {"received": proxy.received, "sent": proxy.sent}
    assert not attempt(target(remote, proxy), place, 5.0)
    return {"received": proxy.received - before["received"], "sent": proxy.sent - before["sent"]}


@contextmanager
def ways_to(remote: Remote, count: int) -> Iterator[list[Proxy]]:
    """So many proxies of one host, whose keys are known."""
    (host,) = remote.standing("h1")
    ways = [remote.proxy(host) for _ in range(count)]
    remote.client.trust(*ways)
    yield ways
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "f0make-reach"], 20.0)


@pytest.mark.parametrize("what", ["flip", "cut"])
def test_broken_anywhere_on_the_way_to_an_agent(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("HOME", str(remote.client.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ways_to(remote, 1) as (way,):
        total = counted(remote, way, tmp_path / "blobs")
        reasons = {}
        for direction in WAYS:
            for n in range(16):
                after = n * total[direction] // 16
                way.harm(what, direction, after)
                # What is wrong in the exchange of keys is noticed there; a time is for what nobody can notice.
                reasons[direction, after] = attempt(target(remote, way), tmp_path / "blobs", 1.0)
        way.harm("", "", 0)
        assert not attempt(target(remote, way), tmp_path / "blobs", 5.0)
    # A bit that flips where nothing is signed yet may be without meaning.
    assert sum(bool(reason) for reason in reasons.values()) >= 26, reasons
    assert all(reason.startswith("h1: ") or not reason for reason in reasons.values()), reasons
    assert not [r for r in reasons.values() if "object" in r or "attribute" in r or r.endswith(": ")], reasons


def test_stalled_anywhere_on_the_way_to_an_agent(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(remote.client.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ways_to(remote, 12) as ways:
        total = counted(remote, ways[0], tmp_path / "blobs")
        for n, way in enumerate(ways):
            direction = WAYS[n % 2]
            way.harm("stall", direction, n // 2 * total[direction] // 6)
        with ThreadPoolExecutor(len(ways)) as pool:
            began = time.monotonic()
            found = [pool.submit(attempt, target(remote, way), tmp_path / "blobs", 1.0) for way in ways]
            reasons = [one.result() for one in found]
        assert all(reason.startswith("h1: ") for reason in reasons), reasons
        assert time.monotonic() - began < 20.0  # 1 + 8 seconds, and what a busy machine adds.


@apart
@pytest.mark.parametrize("ends", [True, False], ids=["for a while", "for good"])
def test_a_lost_host_whose_connections_are_damaged(remote: Remote, ends: bool) -> None:
    """The run hears of the host again, whatever the attempts to reach it stumble over."""
    remote.recipe(
        "steps:\n  - name: one\n    outputs: out\n"
        "    run: |\n      : > $FLAGS-started\n      [ ${{ attempt }} != 1 ] || sleep 300\n      : > out\n"
    )
    host, way = pair(remote)
    hosts(remote, way)
    running = remote.begin(*FAST, "--reconnect", "60s" if ends else "2s")
    running.until(flag(remote, host, "started"))
    # In the packets that are encrypted: what reads them raises errors of its own.
    before = way.connections
    way.harm("flip", "received", 1700)
    way.cut()
    if ends:
        wait_for(lambda: way.connections >= before + 2, 20.0)
        way.harm("", "", 0)
        done = running.end()
        assert ran_at(done) == {"one": "first"}
        assert [status for status, _ in host_events(done)] == ["up", "lost", "back"], done.stdout
    else:
        done = running.end(5)
        assert "damaged" in done.stderr and "no place is left to run one" in done.stderr, done.stderr

"""What listens to hosts waits for none of them, and what keeps it busy is not taken for a host's silence."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from f0make.backends.base import BackendEvent, HostNews
from f0make.backends.ssh.agent_channel import Channel
from f0make.backends.ssh.connection import connect
from f0make.backends.ssh.fleet import Fleet
from f0make.backends.ssh.host import Patience
from tests.contract.ssh.test_reach import target
from tests.support.contract_tools import wait_for
from tests.support.remote_tools import Remote

MANY = 40_000_000
"""Bytes; more than a host may send before it hears that some were read."""


@pytest.fixture(autouse=True)
def _home(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(remote.client.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_taking_what_has_arrived_never_waits_for_sending(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    way = remote.proxy(host)
    remote.client.trust(way)
    connection = connect(target(remote, way), Patience())
    try:
        # What is sent must not find room on the way: the other end's window is to be left open.
        connection.transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        channel = Channel(connection, f"head -c {MANY} /dev/zero; cat > /dev/null", 5.0)
        channel.run(lambda: None, b"", 60.0)
        # The other end has used up what it may send; then the line stalls, while contents are sent.
        wait_for(lambda: way.received > 16_000_000)
        way.stall()
        pieces = 0

        def contents() -> Iterator[bytes]:
            nonlocal pieces
            for _ in range(1000):
                pieces += 1
                yield secrets.token_bytes(32_000)

        channel.stream(contents())
        before = -1
        while before != pieces:
            before = pieces
            time.sleep(0.3)
        assert 0 < pieces < 1000
        taken: list[bytes | None] = []
        taker = threading.Thread(target=lambda: taken.append(channel.take()), daemon=True)
        taker.start()
        taker.join(10.0)
        assert taken and taken[0], "take waits for the line"
        # What was taken makes room for the rest, as soon as it can be said.
        way.stall(False)
        count, until = len(taken[0]), time.monotonic() + 20.0
        while count < MANY and time.monotonic() < until:
            data = channel.take()
            assert data is not None
            count += len(data)
            time.sleep(0 if data else 0.01)
        assert count == MANY
    finally:
        connection.close()


def test_what_keeps_f0make_busy_is_no_silence_of_a_host(remote: Remote, tmp_path: Path) -> None:
    first, second = remote.standing("h1", "h2")
    ways = [remote.proxy(first), remote.proxy(second)]
    remote.client.trust(*ways)
    patience = Patience(lease=1.0, reconnect=0.0)
    fleet = Fleet([target(remote, way) for way in ways], patience, None, str(tmp_path))
    heard: list[tuple[str, str]] = []
    busy = threading.Event()

    def news(about: BackendEvent) -> None:
        assert isinstance(about, HostNews)
        heard.append((about.host, about.status))
        if (about.host, about.status) == (
            "h1",
            "lost",
        ):  # In the thread that listens, as bringing a large result home is.
            time.sleep(3.0)
            busy.set()

    fleet.start(news)
    try:
        wait_for(lambda: len(heard) == 2)
        ways[0].cut()
        assert busy.wait(20.0)
        time.sleep(1.5)
        assert ("h2", "up") in heard and [h for h in heard if h[0] == "h2"] == [("h2", "up")], heard
        # And it is noticed when that one falls silent.
        ways[1].stall()
        wait_for(lambda: ("h2", "lost") in heard)
    finally:
        fleet.stop(0.0)

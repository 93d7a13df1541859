"""SSH packets as f0make reads and writes them: bytes there and back over real servers, whatever they agree on."""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Iterator

import pytest

from f0make.backends.ssh import connection, fast_packets
from f0make.backends.ssh.agent_channel import Channel
from f0make.backends.ssh.host import Host, Patience
from tests.support.remote_tools import Remote
from tests.support.sshd.host import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

PIECE = os.urandom(1 << 20)
COUNT = 24


def there_and_back(channel: Channel) -> None:
    """Send what `cat` there sends back, and compare."""
    began, got, received, sent = time.monotonic(), hashlib.sha256(), 0, hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for n in range(COUNT):
            piece = PIECE[n * 1000 + n % 7 :]
            sent.update(piece)
            yield piece

    broken: list[bool] = []
    channel.run(lambda: broken.append(True), b"", 60.0)
    channel.stream(pieces())
    expected = sum(len(PIECE) - n * 1000 - n % 7 for n in range(COUNT))
    while received < expected:
        assert time.monotonic() < began + 60 and not broken
        select.select([channel.fileno()], [], [], 1.0)
        data = channel.take()
        assert data is not None, channel.complaint()
        got.update(data)
        received += len(data)
    assert (received, got.hexdigest()) == (expected, sent.hexdigest())


@pytest.mark.parametrize(
    "server", ["", "RekeyLimit 1M", "Ciphers aes128-ctr", "Ciphers aes256-gcm@openssh.com"]
)
@pytest.mark.parametrize("limit", [1 << 29, 3_000_000])
def test_bytes_there_and_back(
    remote: Remote, monkeypatch: pytest.MonkeyPatch, server: str, limit: int
) -> None:
    """New keys are agreed on in the middle, asked for by either side, and by both at one time."""
    if limit < 1 << 29 and server.startswith("Ciphers aes128"):
        pytest.skip("paramiko's own packets")
    monkeypatch.setattr(fast_packets, "REKEY", limit)
    host = remote.fresh("packets", sshd=server)
    remote.client.trust(host)
    known = str(remote.client.known_hosts)
    settings = Host("packets", host.address, host.port, host.user, str(remote.client.key), known_hosts=known)
    line = connection.connect(settings, Patience())
    try:
        channel = Channel(line, "cat", 10.0)
        there_and_back(channel)
        cipher = line.transport.remote_cipher
        assert cipher == line.transport.local_cipher
        assert cipher == (server.split()[1] if server.startswith("Ciphers") else "aes128-gcm@openssh.com")
        rounds = line.transport.packetizer.keys_taken
        assert (
            rounds >= (3 if limit < 1 << 29 or "Rekey" in server else 1)
            if "ctr" not in server
            else rounds == 0
        )
    finally:
        line.close()


def test_a_packet_that_was_changed_on_its_way_ends_the_connection(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    proxy = remote.proxy(host)
    remote.client.trust(proxy)
    known = str(remote.client.known_hosts)
    settings = Host("h1", proxy.address, proxy.port, proxy.user, str(remote.client.key), known_hosts=known)
    line = connection.connect(settings, Patience())
    try:
        channel = Channel(line, "sleep 1; head -c 3000000 /dev/zero; cat", 10.0)
        channel.run(lambda: None, b"", 60.0)
        proxy.corrupt("received", 1_000_000)
        until, received = time.monotonic() + 30, b""
        while (data := channel.take()) is not None and time.monotonic() < until:
            received += data
            time.sleep(0.01)
        assert data is None and set(received) <= {0} and len(received) < 3_000_000
    finally:
        line.close()

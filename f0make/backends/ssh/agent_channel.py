"""The one channel to a host's agent: a thread that sends, and what has arrived."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from f0make.backends.ssh import check_answers
from f0make.backends.ssh.connection import Connection
from f0make.backends.ssh.fast_packets import Pieces
from f0make.backends.ssh.lean_paramiko import paramiko

_READ = 16 << 20
"""Bytes; as many as a host may send ahead, because paramiko moves all that is left in its buffer after each read."""
_ROOM = 2 << 20
"""Bytes that were taken before the other end is told that it may send as many again."""
_LOOK = 0.1
"""Seconds after which a sending thread that may send no contents looks whether the other end may."""
_TAIL = 4000
_BATCH = 128 << 10
_PACKET = (32 << 10) - 64
"""Bytes; OpenSSH takes packets of 32 KiB, paramiko leaves room for what stands around them."""


class Channel:
    """A command's streams. What is sent waits in two queues: messages, and contents behind them."""

    def __init__(self, connection: Connection, command: str, timeout: float) -> None:
        """Start ``command``. Raises paramiko's SSHException."""
        self.connection = connection
        self._channel = connection.transport.open_session(timeout=timeout)
        self._channel.in_buffer = Pieces()  # nothing can have come before there is a command
        self._channel.settimeout(timeout)
        self._channel.exec_command(command)
        self.sent = self.received = len(command)
        """Bytes."""
        self.received = 0
        self._said = b""
        self._messages: deque[bytes] = deque()
        self._streams: deque[Iterator[bytes]] = deque()
        self._taken = 0
        """Bytes that were taken, for which the other end was not yet told that it may send more."""
        self._more = threading.Condition()
        self._closed = False
        self._broken: Callable[[], None] = lambda: None

    # While the agent is started: one thread, both directions.

    def send(self, data: bytes) -> None:
        """Send all of ``data`` now. Raises OSError."""
        self.sent += len(data)
        self._channel.sendall(data)

    def receive(self, timeout: float) -> bytes:
        """What has arrived, waiting for it; b"" at the end. Raises TimeoutError."""
        self._channel.settimeout(timeout)
        data: bytes = self._channel.recv(_READ)
        self.received += len(data)
        return data

    def complaint(self) -> str:
        """What was said on standard error, its last line."""
        if not self._channel.closed:
            self._channel.status_event.wait(0.5)
        while self._channel.recv_stderr_ready():
            self._said = (self._said + self._channel.recv_stderr(_READ))[-_TAIL:]
        lines = self._said.decode("utf-8", "replace").split("\n")
        return check_answers.line(next((line.strip() for line in reversed(lines) if line.strip()), ""))

    # While it runs.

    def run(self, broken: Callable[[], None], beat: bytes, every: float) -> None:
        """Send from a thread from now on, ``beat`` every so many seconds among the rest.

        ``broken`` is called from that thread when it can send no more.
        """
        self._broken = broken
        self._channel.settimeout(_LOOK)
        sender = threading.Thread(target=self._sender, args=(beat, every), name="f0make-send", daemon=True)
        sender.start()

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to `take`."""
        return int(self._channel.fileno())

    @property
    def waits(self) -> bool:
        """There is something to `take`."""
        return bool(self._channel.recv_ready())

    @property
    def ended(self) -> bool:
        """The command is gone, or the connection is."""
        return bool(self._channel.closed) or not self.connection.transport.is_active()

    def take(self) -> bytes | None:
        """What has arrived; b"" for nothing, None when the other end is gone. Never waits.

        So nothing is read by paramiko's `recv`: that tells the other end what it may send now, and waits until
        that is sent, for as long as this takes where the line is stalled.
        """
        channel: Any = self._channel
        while channel.recv_stderr_ready():
            self._said = (self._said + self._read(channel.in_stderr_buffer))[-_TAIL:]
        if channel.recv_ready():
            return self._read(channel.in_buffer)
        if channel.eof_received or channel.closed or not self.connection.transport.is_active():
            # Data that came with the end may have arrived between the two looks.
            return self._read(channel.in_buffer) if channel.recv_ready() else None
        return b""

    def _read(self, buffer: Any) -> bytes:
        data: bytes = buffer.read(_READ, 0.0)
        self.received += len(data)
        with self._more:
            self._taken += len(data)
            if self._taken >= _ROOM:
                self._more.notify()
        return data

    def post(self, message: bytes) -> None:
        """Send ``message`` before any content that waits; returns at once."""
        with self._more:
            self._messages.append(message)
            self._more.notify()

    def stream(self, pieces: Iterator[bytes]) -> None:
        """Send ``pieces`` when no message waits; they are asked for in the sending thread."""
        with self._more:
            self._streams.append(pieces)
            self._more.notify()

    def drop_streams(self) -> None:
        """Send no more contents."""
        with self._more:
            self._streams.clear()

    def close(self) -> None:
        """Close the connection: the agent ends everything and itself."""
        with self._more:
            self._closed = True
            self._more.notify()
        self.connection.close()

    def _send_all(self, data: bytes) -> None:
        """`sendall` in pieces of one packet each; paramiko's own copies all that is left after each of them."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._channel.send(bytes(view[:_PACKET])) :]
            except TimeoutError:
                self._make_room()

    def _make_room(self) -> None:
        """Let the other end send as much as was taken, once that is worth a message.

        paramiko does so in `Channel.recv` alone, which copies, and has no public name for it by itself.
        """
        with self._more:
            if self._taken < _ROOM:
                return
            taken, self._taken = self._taken, 0
        channel: Any = self._channel
        if not (channel.closed or channel.eof_received):
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
            message.add_int(channel.remote_chanid)
            message.add_int(taken)
            self.connection.transport._send_user_message(message)

    def _sender(self, beat: bytes, every: float) -> None:
        due = time.monotonic()
        try:
            while True:
                with self._more:
                    while not (self._messages or self._streams or self._taken >= _ROOM or self._closed):
                        left = due - time.monotonic()
                        if left <= 0:
                            break
                        self._more.wait(left)
                    if self._closed:
                        return
                    data = b""
                    if time.monotonic() >= due:
                        data, due = beat, time.monotonic() + every
                    while self._messages and len(data) < _BATCH:
                        data += self._messages.popleft()
                    pieces = self._streams[0] if self._streams and not data else None
                if self._taken >= _ROOM:
                    self._make_room()
                if pieces is not None:
                    piece = next(pieces, None)
                    if piece is None:
                        with self._more:
                            if self._streams and self._streams[0] is pieces:
                                self._streams.popleft()
                        continue
                    data = piece
                self.sent += len(data)
                self._send_all(data)
        except Exception:  # paramiko's and the contents' own: whatever it is, nothing is sent any more.
            self._broken()

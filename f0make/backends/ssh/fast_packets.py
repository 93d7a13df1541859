"""SSH packets in AES-GCM with few copies, for paramiko's transport; with any other cipher paramiko does all itself.

paramiko copies what it receives about nine times and asks the kernel five times for each packet: with contents of
hundreds of megabytes that takes longer than decrypting and hashing them. Here many packets are read at once, and
each is decrypted where it lies (RFC 4253 section 6, RFC 5647 section 7).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import deque
from typing import Any

from f0make.backends.ssh.lean_paramiko import paramiko

_BUFFER = 512 << 10
"""Bytes that are asked for at one time."""
_LARGEST = 256 << 10
"""Bytes; OpenSSH refuses larger packets, too."""
_TAG = 16
_BLOCK = 16
_DATA = 94
"""SSH_MSG_CHANNEL_DATA: this byte, the number of the channel, a length, bytes."""
REKEY = 1 << 29
"""Bytes after which new keys are asked for; as paramiko does."""
_AT_ONCE = 1 << 20
"""Bytes that a reader gets at most: more would have left the processor's cache meanwhile."""
_SIZE = struct.Struct(">I")
_HEAD = struct.Struct(">IB")


class _Key:
    """The key of one direction, with the nonce of its next packet."""

    def __init__(self, engine: Any, nonce: bytes) -> None:
        self._fixed, self._next = nonce[:4], int.from_bytes(nonce[4:], "big")
        self._into = hasattr(engine, "encrypt_into")
        self._engine = engine
        self.used = 0
        """Bytes that went by under it."""

    def _nonce(self) -> bytes:
        counter = self._next
        self._next = (counter + 1) & 0xFFFFFFFFFFFFFFFF
        return self._fixed + counter.to_bytes(8, "big")

    def open(self, sealed: memoryview, size: memoryview, plain: memoryview) -> None:
        """Decrypt into ``plain``. Raises InvalidTag."""
        self.used += len(sealed)
        if self._into:
            self._engine.decrypt_into(self._nonce(), sealed, size, plain)
        else:
            plain[:] = self._engine.decrypt(self._nonce(), sealed, size)

    def seal(self, plain: memoryview, size: memoryview, sealed: memoryview) -> None:
        """Encrypt into ``sealed``."""
        self.used += len(sealed)
        if self._into:
            self._engine.encrypt_into(self._nonce(), plain, size, sealed)
        else:
            sealed[:] = self._engine.encrypt(self._nonce(), plain, size)


def _key(named: dict[str, Any], nonce: str) -> _Key | None:
    return _Key(named["block_engine"], named[nonce]) if named.get("aead") else None


class _Data(paramiko.Message):  # type: ignore[misc]
    """Bytes for a channel: what the transport asks a message for."""

    def __init__(self, channel: int, data: bytes) -> None:
        self._channel, self._data = channel, data

    def get_int(self) -> int:
        return self._channel

    def get_binary(self) -> bytes:
        return self._data


class Packets(paramiko.packet.Packetizer):  # type: ignore[misc]
    """What `paramiko.Transport` takes as ``packetizer_class``."""

    def __init__(self, line: Any) -> None:
        super().__init__(line)
        self._line = line
        self._is_socket = isinstance(line, socket.socket)
        self._opener: _Key | None = None
        self._sealer: _Key | None = None
        self._received = memoryview(bytearray(_BUFFER + _LARGEST))
        self._start = self._end = 0
        """Between them lies what was received and not looked at."""
        self._plain = memoryview(bytearray(_LARGEST))
        self._packet = memoryview(bytearray(_LARGEST))
        self._sealed = memoryview(bytearray(_LARGEST))
        self._number = 0
        self.keys_taken = 0
        """How often a key for receiving was agreed on."""
        self._writing = threading.RLock()

    # Keys, as the transport has agreed on them.

    def set_inbound_cipher(self, *given: Any, **named: Any) -> None:
        super().set_inbound_cipher(*given, **named)
        self._opener = _key(named, "iv_in")
        self.keys_taken += self._opener is not None

    def set_outbound_cipher(self, *given: Any, **named: Any) -> None:
        super().set_outbound_cipher(*given, **named)
        self._sealer = _key(named, "iv_out")

    def reset_seqno_in(self) -> None:
        super().reset_seqno_in()
        self._number = 0

    # Receiving, in the transport's thread.

    def read_message(self) -> tuple[int, paramiko.Message]:
        """The kind of the next message, and the message. Raises what paramiko's own does."""
        if self._opener is None:
            return super().read_message()  # type: ignore[no-any-return]
        self._receive(_SIZE.size)
        size = _SIZE.unpack_from(self._received, self._start)[0]
        if not 2 <= size <= _LARGEST - _SIZE.size - _TAG:
            raise paramiko.SSHException(f"a packet of {size} bytes")
        self._receive(_SIZE.size + size + _TAG)
        begin = self._start + _SIZE.size
        self._start = begin + size + _TAG
        plain = self._plain[:size]
        self._opener.open(
            self._received[begin : self._start], self._received[begin - _SIZE.size : begin], plain
        )
        if self._opener.used >= REKEY and not self.need_rekey():
            self._trigger_rekey()
        number, self._number = self._number, (self._number + 1) & 0xFFFFFFFF
        kind, end = plain[1], size - plain[0]
        if kind == _DATA and end >= 10:
            channel, length = struct.unpack_from(">II", plain, 2)
            return kind, _Data(channel, bytes(plain[10 : min(10 + length, end)]))
        message = paramiko.Message(bytes(plain[2:end]))
        message.seqno = number
        return kind, message

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """``n`` bytes of the stream: those that were received already come first."""
        if self._start == self._end:
            return super().read_all(n, check_rekey)  # type: ignore[no-any-return]
        taken = bytes(self._received[self._start : min(self._start + n, self._end)])
        self._start += len(taken)
        return taken + super().read_all(n - len(taken)) if len(taken) < n else taken

    def _receive(self, wanted: int) -> None:
        """Have at least ``wanted`` bytes there. Raises EOFError, OSError, and NeedRekeyException between messages."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end - self._start < wanted and self._start + wanted > len(self._received) - _BUFFER // 2:
            rest = bytes(self._received[self._start : self._end])
            self._received[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        while self._end - self._start < wanted:
            if self.handshake_timed_out():
                raise EOFError
            try:
                got = self._more(self._received[self._end :])
            except (TimeoutError, BlockingIOError):
                if self.closed:
                    raise EOFError from None
                if self._start == self._end and self.need_rekey():
                    raise paramiko.packet.NeedRekeyException from None
                self._check_keepalive()
                continue
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise
            if not got:
                raise EOFError
            self._end += got

    def _more(self, room: memoryview) -> int:
        if self._is_socket:
            return int(self._line.recv_into(room))
        data = self._line.recv(min(len(room), _BUFFER))
        room[: len(data)] = data
        return len(data)

    # Sending, from any thread.

    def send_message(self, data: Any) -> None:
        """Send a message. Raises EOFError when the connection is gone."""
        if self._sealer is None:
            super().send_message(data)
            return
        payload = data.asbytes()
        padding = 4 + -(1 + len(payload) + 4) % _BLOCK
        size = 1 + len(payload) + padding
        with self._writing:
            packet, sealed = self._packet, self._sealed
            _HEAD.pack_into(packet, 0, size, padding)
            packet[5 : 5 + len(payload)] = payload
            packet[5 + len(payload) : 4 + size] = os.urandom(padding)
            sealed[:4] = packet[:4]
            end = 4 + size + _TAG
            self._sealer.seal(packet[4 : 4 + size], packet[:4], sealed[4:end])
            self.write_all(sealed[:end] if self._is_socket else bytes(sealed[:end]))
            if self._sealer.used >= REKEY and not self.need_rekey():
                self._trigger_rekey()


class Pieces(paramiko.buffered_pipe.BufferedPipe):  # type: ignore[misc]
    """What has arrived for a channel, kept as it came: paramiko's own moves all of it after each read."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Add ``data``."""
        with self._lock:
            self._pieces.append(data)
            self._size += len(data)
            if self._event is not None:
                self._event.set()
            self._cv.notify_all()

    def set_event(self, event: Any) -> None:
        """``event`` is set as long as there is something to read, or nothing more will come."""
        with self._lock:
            self._event = event
            if self._closed or self._pieces:
                event.set()
            else:
                event.clear()

    def read_ready(self) -> bool:
        """Whether there is something to read."""
        with self._lock:
            return bool(self._pieces)

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """At most ``nbytes`` of what has arrived, waiting for it; b"" at the end. Raises PipeTimeout."""
        with self._lock:
            if not self._cv.wait_for(lambda: self._pieces or self._closed, timeout):
                raise paramiko.buffered_pipe.PipeTimeout
            taken: list[bytes] = []
            room = min(nbytes, _AT_ONCE)
            while self._pieces and room > 0:
                piece = self._pieces.popleft()
                if len(piece) > room:
                    self._pieces.appendleft(piece[room:])
                    piece = piece[:room]
                room -= len(piece)
                self._size -= len(piece)
                taken.append(piece)
            if not self._pieces and self._event is not None and not self._closed:
                self._event.clear()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def empty(self) -> bytes:
        """All that has arrived, which is forgotten."""
        with self._lock:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if self._event is not None and not self._closed:
                self._event.clear()
        return data

    def __len__(self) -> int:
        with self._lock:
            return self._size

"""Contents on their way: many small ones in one message, a large one in pieces, compressed where that helps.

A PACK is one flag byte, then (as a whole compressed or not) a count, for each content its digest and size,
and all bytes. A PART is a flag byte, the digest, and bytes. Part of what is sent.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from f0make.files.content_digest import file_digest
from f0make.worker.agent import wire_format

_COUNT = struct.Struct(">I")
_ENTRY = struct.Struct(">32sI")
SMALL = 128 << 10
"""Bytes; larger contents travel in pieces of their own."""
INLINE = 64 << 10
"""Bytes of outputs that come with an outcome unasked."""
PACK_BYTES = 512 << 10
PACK_COUNT = 2000
PIECE = 2 * ((32 << 10) - 64) - 38
"""Bytes; the message then fills two packets of OpenSSH."""
_TASTE = 16 << 10
"""Bytes of a pack that tell whether compressing all of it is worth the time."""
LARGEST_PACK = (64 << 10) + PACK_COUNT * _ENTRY.size + PACK_BYTES + SMALL
"""Bytes of a PACK message, compressed or not, at most."""
LARGEST_PART = 33 + PIECE
COMPRESSED, LAST, VOID = 1, 2, 4
"""Flags; a VOID part takes back what came before of its content."""
WORTH = 0.85
"""What is compressed to more than this part of its size travels as it is."""


def stream(
    items: Iterable[tuple[str, str | bytes]],
    lost: Callable[[str], None],
    worth: Callable[[], float] = lambda: WORTH,
    careful: bool = False,
) -> Iterator[bytes]:
    """Messages that carry ``items`` (digest, absolute path or the bytes themselves), as they are asked for.

    ``lost`` hears of each content that is not, or no longer, what its digest says. ``worth`` says to which part of
    its size compressing must bring a large content for it to travel compressed. Whether large contents are what
    they should be is found out where they arrive, unless ``careful``.
    """
    pack = Pack()
    for digest, source in items:
        data = source if isinstance(source, bytes) else _small(source)
        if data is None:
            assert isinstance(source, str)
            yield from _parts(digest, source, lost, worth, careful)
        elif hashlib.sha256(data).hexdigest() != digest:
            lost(digest)
        else:
            pack.add(digest, data)
            if pack.full:
                yield pack.take()
    if pack:
        yield pack.take()


class Pack:
    """Small contents that travel together."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def full(self) -> bool:
        """It is time to send it."""
        return self._size >= PACK_BYTES or len(self._entries) >= PACK_COUNT

    def add(self, digest: str, data: bytes) -> None:
        """Add one content."""
        self._entries.append(_ENTRY.pack(bytes.fromhex(digest), len(data)))
        self._data.append(data)
        self._size += len(data)

    def take(self) -> bytes:
        """The message; the pack is empty afterwards."""
        body = b"".join([_COUNT.pack(len(self._entries)), *self._entries, *self._data])
        self._entries, self._data, self._size = [], [], 0
        if len(zlib.compress(body[-_TASTE:], 1)) < min(len(body), _TASTE) * WORTH:
            return wire_format.frame_of(wire_format.PACK, bytes([COMPRESSED]), zlib.compress(body, 1))
        return wire_format.frame_of(wire_format.PACK, b"\0", body)


def unpack(payload: memoryview) -> Iterator[tuple[str, memoryview]]:
    """(digest, bytes) of everything in a PACK; the bytes are not verified. Raises wire.Garbled."""
    try:
        body = memoryview(_plain(payload[0], payload[1:], LARGEST_PACK))
        (count,) = _COUNT.unpack_from(body)
        at = _COUNT.size + count * _ENTRY.size
        for n in range(count):
            digest, size = _ENTRY.unpack_from(body, _COUNT.size + n * _ENTRY.size)
            yield digest.hex(), body[at : at + size]
            at += size
    except (struct.error, IndexError, zlib.error) as error:
        raise wire_format.Garbled(str(error)) from None


def part(payload: memoryview) -> tuple[str, bytes | memoryview, int]:
    """(digest, bytes, flags) of a PART. Raises wire.Garbled."""
    try:
        if len(payload) < 33:
            raise wire_format.Garbled("a piece without a digest")
        return payload[1:33].hex(), _plain(payload[0], payload[33:], PIECE), payload[0]
    except (IndexError, zlib.error) as error:
        raise wire_format.Garbled(str(error)) from None


def _plain(flags: int, data: memoryview, most: int) -> bytes | memoryview:
    if not flags & COMPRESSED:
        return data
    inflater = zlib.decompressobj()
    found = inflater.decompress(data, most)
    if inflater.unconsumed_tail or not inflater.eof:
        raise wire_format.Garbled("more than a message may hold, or less than it says")
    return found


def _small(path: str) -> bytes | None:
    """The bytes of a small file, b"" for one that cannot be read, None for a large one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        size = os.fstat(fd).st_size
        return None if size > SMALL else os.read(fd, SMALL + 1)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _parts(
    digest: str, path: str, lost: Callable[[str], None], worth: Callable[[], float], careful: bool
) -> Iterator[bytes]:
    raw = bytes.fromhex(digest)
    ratio = 0.0  # What the last piece that was tried was compressed to.
    try:
        if careful and file_digest(path) != digest:
            raise OSError
        with open(path, "rb", buffering=0) as file:
            data = file.read(PIECE)
            while data:
                following = file.read(PIECE)
                flags = 0 if following else LAST
                if ratio < worth():
                    smaller = zlib.compress(data, 1)
                    ratio = len(smaller) / len(data)
                    if ratio < worth():
                        flags, data = flags | COMPRESSED, smaller
                yield wire_format.frame_of(wire_format.PART, bytes([flags]), raw, data)
                data = following
            if file.tell():
                return
    except OSError:
        pass
    yield wire_format.frame_of(wire_format.PART, bytes([VOID]), raw)
    lost(digest)

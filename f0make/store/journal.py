"""The files under `Store`: reading and appending `records.log`, and `records.idx`, which saves reading it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain

from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.files.open_regular import open_regular
from f0make.gc_pause import gc_pause
from f0make.store import log_lines, state_dir
from f0make.store.log_index import Index
from f0make.store.piece_table import Place
from f0make.store.run_history import check_format
from f0make.store.validate_record import valid_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LOG = "records.log"
IDX = "records.idx"
MAGIC = b"f0make records.idx 4\n"
_SIZE = 8
"""Bytes of the number behind the first line of the index file: how long its head is."""
_HEAD = 64 << 10
"""Bytes read at first, which hold the head of an index of some ten thousand instances."""
_CHUNK = 4 << 20
MOST_LINE = 256 << 20
"""Bytes of a line beyond which nothing more is read: f0make writes none so long."""
_TAIL = 16 << 10
"""Bytes; the index is written again when more than this, or than 1/32 of the log, stands behind it.

Reading so much takes a third of a millisecond, writing the index of 10,000 instances ten.
"""


class Journal:
    """An open record log. ``index`` is always up to date with it, unflushed lines included."""

    def __init__(self, workspace: str, readonly: bool) -> None:
        self.workspace = workspace
        self.readonly = readonly
        self.path = os.path.abspath(state_dir.path_of(workspace, LOG))
        self.idx_path = os.path.abspath(state_dir.path_of(workspace, IDX))
        self.notes: list[str] = []
        self.failed = False
        """The last flush failed; what it was to write is still pending."""
        self._fd = self._idx_fd = -1
        self.reset()
        try:
            self._open()
        except OSError as error:
            self.close()
            raise state_dir.unusable(workspace, error) from None
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        """Forget everything that was read."""
        self.index = Index(self._index_before)
        self.outdated = False
        """An older f0make began this log: its lines are understood, its first line must say what follows."""
        self.damaged_lines = 0
        self.unreadable: set[int] = set()
        """Offsets that the index names and where no whole line was found."""
        self._size = 0
        """Bytes of the log that hold whole lines, all of them in the index."""
        self._end = 0
        """``_size`` and what is pending."""
        self._covered = 0
        """Bytes that the index file covers."""
        self._last = b""
        """The last whole line."""
        self._header = b""
        self._pending: dict[int, bytes] = {}

    def damage(self) -> list[str]:
        """Messages about what was left out."""
        lost = self.damaged_lines + len(self.unreadable)
        if not lost:
            return list(self.notes)
        return [*self.notes, f"{self.path}: {lost} damaged line{'s were' if lost > 1 else ' was'} left out"]

    # Reading.

    def read(self, offset: int, kind: str) -> Any:
        """The payload of the line of type ``kind`` at ``offset``; None (and noted) when it is not what that has."""
        line = self._pending.get(offset)
        found = log_lines.decode(line if line is not None else self._line(offset))
        if found is None or found[0] != kind or not valid_line(kind, found[1]):
            self.unreadable.add(offset)
            return None
        return found[1]

    def blocks(self, position: int = 0) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of the log from ``position`` on, each block whole lines; the last may lack its newline."""
        size = _CHUNK
        while block := os.pread(self._fd, size, position):
            end = block.rfind(b"\n") + 1
            if not end and len(block) >= MOST_LINE:
                return
            if not end and len(block) == size:
                size *= 4
                block = b""  # not beside the longer one
                continue
            if not end:
                while more := os.pread(self._fd, _CHUNK, position + len(block)):
                    block += more
                end = block.rfind(b"\n") + 1 or len(block)
            yield position, block[:end]
            position += end
            size = _CHUNK

    # Writing.

    def append(self, kind: str, payload: Any) -> None:
        """Add a line; it is on disk with the next flush. Raises ValueError when ``payload`` lacks something."""
        if self.readonly:
            raise ValueError("the store was opened for reading")
        line = log_lines.encode(kind, payload)
        if not self.index.apply(kind, payload, self._end):
            raise ValueError(f"not the payload of a {kind!r} line: {payload!r}")
        self._pending[self._end] = line
        self._end += len(line)

    def flush(self) -> None:
        """Write what is pending, all or nothing. Raises OSError with the log as ``filename``."""
        if not self._pending:
            return
        try:
            self._write(b"".join(self._pending.values()))
        except OSError:
            self.failed = True
            raise
        self.failed = False
        self._size = self._end
        self._last = next(reversed(self._pending.values()))
        self._pending = {}

    def mark(self) -> tuple[bytes, int]:
        """The first line, which no two logs share, and the bytes of whole lines."""
        return self._header or self._line(0), self._size

    def sync(self) -> None:
        """Wait until the disk has the log. Raises OSError."""
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def save_index(self) -> None:
        """Write the index file when enough has come since; a failure costs time at the next start only."""
        if self._pending or self._size - self._covered <= max(_TAIL, self._size >> 5):
            return
        if not sealed_files.possible():
            return
        small, tables = self.index.dump()
        places: list[list[Place]] = []
        offset = 0
        for pieces in tables.values():
            places.append([])
            for piece in pieces:
                places[-1].append((offset, len(piece), sealed_files.mark(piece)))
                offset += len(piece)
        checks = (self._header, self._size, self._last, self.damaged_lines)
        head = sealed_files.seal(MAGIC, (checks, small, places))
        size = len(head).to_bytes(_SIZE, "big")
        try:
            write_atomic(self.idx_path, b"".join([MAGIC, size, head, *chain.from_iterable(tables.values())]))
        except OSError:
            return
        self._covered = self._size

    def replace(self, temporary: str) -> None:
        """Put the log ``temporary`` in the place of this one and read that. Raises OSError or StateError."""
        os.replace(temporary, self.path)
        self.notes = self.damage()
        self.close()
        self.reset()
        self._open()

    def close(self) -> None:
        """Let go of the file; nothing is written."""
        for fd in (self._fd, self._idx_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._idx_fd = -1

    # Opening.

    def _open(self) -> None:
        flags = os.O_RDONLY if self.readonly else os.O_RDWR | os.O_APPEND | os.O_CREAT
        try:
            self._fd = open_regular(self.path, flags)
        except FileNotFoundError:
            if self.readonly:
                return
            raise
        st = os.fstat(self._fd)
        if st.st_size == 0 and not self.readonly:
            self._write(
                log_lines.encode(log_lines.HEADER, {"format": log_lines.FORMAT, "id": os.urandom(8).hex()})
            )
        with gc_pause():
            self._load_index(os.fstat(self._fd).st_size)
            self._scan()

    def _load_index(self, size: int) -> None:
        """Take over the index file if it belongs to this log; otherwise the whole log is read."""
        self._header = self._line(0, _CHUNK)
        header = log_lines.decode(self._header)
        if header is not None and header[0] == log_lines.HEADER:
            self.outdated = check_format(self.path, header[1]) < log_lines.FORMAT
        value = self._read_head()
        if value is None:
            return
        (header_line, covered, last, damaged), small, places = value
        if header_line != self._header:
            return
        if covered > size:
            self.notes.append(
                f"{self.path} has lost its last {covered - size} bytes, with the records in them"
            )
            return
        if os.pread(self._fd, len(last), covered - len(last)) != last:
            return
        self.index.load(small, places, self._piece)
        self.damaged_lines, self._last = damaged, last
        self._covered = self._size = self._end = covered

    def _read_head(self) -> Any:
        """What stands at the beginning of the index file; None when there is none that counts."""
        try:
            self._idx_fd = open_regular(self.idx_path)
            data = os.pread(self._idx_fd, _HEAD, 0)
            if not data.startswith(MAGIC):
                return None
            start = len(MAGIC) + _SIZE
            size = int.from_bytes(data[len(MAGIC) : start], "big")
            if size > len(data) - start:
                data = os.pread(self._idx_fd, min(start + size, os.fstat(self._idx_fd).st_size), 0)
        except OSError:
            return None
        self._body = start + size
        value = sealed_files.unseal(MAGIC, data[start : self._body])
        if value is None:
            self._idx_damaged()
        return value

    def _piece(self, place: Place) -> bytes | None:
        """A piece of a table, None when it is not as it was written."""
        offset, size, mark = place
        try:
            data = os.pread(self._idx_fd, size, self._body + offset)
        except OSError:
            return None
        return data if len(data) == size and sealed_files.mark(data) == mark else None

    def _idx_damaged(self) -> None:
        self._covered = 0
        self.notes.append(f"{self.idx_path} was damaged; it is made again from the log")

    def _index_before(self, offset: int | None) -> Index:
        """The index of all lines before ``offset`` (default: of all), from the log."""
        self._idx_damaged()
        end = self._size if offset is None else offset
        index = Index()
        for position, block in self.blocks():
            for at, kind, payload in log_lines.scan(block, position):
                if (
                    at < end
                    and kind not in (log_lines.DAMAGED, log_lines.HEADER)
                    and valid_line(kind, payload)
                ):
                    index.apply(kind, payload, at)
        for at, line in self._pending.items():
            found = log_lines.decode(line)
            if found is not None and (offset is None or at < offset):
                index.apply(*found, at)
        return index

    def _scan(self) -> None:
        """Read the lines behind ``_size`` into the index; a writer mends the end of the log."""
        for position, block in self.blocks(self._size):
            damaged = 0
            intact = False
            for offset, kind, payload in log_lines.scan(block, position):
                intact = kind != log_lines.DAMAGED and (
                    kind == log_lines.HEADER
                    or (valid_line(kind, payload) and self.index.apply(kind, payload, offset))
                )
                damaged += not intact
            end = position + len(block)
            if not block.endswith(b"\n"):
                if not self._mend(position, len(block), intact):
                    return
                damaged -= not intact
            self.damaged_lines += damaged
            self._size = self._end = end
            start = block.rfind(b"\n", 0, len(block) - 1) + 1
            self._last = block[start:]

    def _mend(self, position: int, length: int, intact: bool) -> bool:
        """Deal with an end that lacks its newline; whether what stands there counts as lines."""
        if self.readonly:
            return intact
        if intact:
            self._size = self._end = position + length
            self._write(b"\n")
            return True
        os.ftruncate(self._fd, position)
        self.notes.append(f"{self.path}: a last line that was never finished ({length} bytes) was cut off")
        return False

    def _write(self, data: bytes) -> None:
        """Append ``data``; after a failure the log ends where it did before. Raises OSError."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            error.filename = self.path
            raise

    def _line(self, offset: int, most: int = MOST_LINE) -> bytes:
        """The bytes from ``offset`` up to and with the next newline, about ``most`` where there is none."""
        parts, size, beyond = [], 4096, offset + most
        while self._fd >= 0 and offset < beyond:
            try:
                data = os.pread(self._fd, size, offset)
            except OSError:
                break
            end = data.find(b"\n") + 1
            parts.append(data[:end] if end else data)
            if end or not data:
                break
            offset, size = offset + len(data), min(size * 8, _CHUNK)
        return b"".join(parts)

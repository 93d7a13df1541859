"""An ActionResult of Bazel's remote execution API, as far as f0make needs one: files, by path and digest. Pure.

Written as JSON (protobuf's canonical form) or as protobuf's own encoding, read as either: servers that check
what is put under `/ac/` take one or the other, and give back their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from f0make.fast_dataclass import dataclass
from f0make.store.validate_record import valid_digest

JSON = "application/json"
PROTOBUF = "application/octet-stream"

RECORDS = "f0make-record/"
"""The output files below this path are records (the rest of the path: their variant), newest first."""


class NotAnAction(ValueError):
    """What came is no ActionResult."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file of a result, by its content."""

    path: str
    digest: str
    size: int
    executable: bool = False


def to_json(files: Iterable[OutputFile]) -> bytes:
    """``files`` as an ActionResult in JSON."""
    listed = []
    for file in files:
        entry: dict[str, object] = {
            "path": _utf8(file.path),
            "digest": {"hash": file.digest, "sizeBytes": str(file.size)},
        }
        if file.executable:
            entry["isExecutable"] = True
        listed.append(entry)
    return json.dumps({"outputFiles": listed}, separators=(",", ":")).encode("ascii")


def to_protobuf(files: Iterable[OutputFile]) -> bytes:
    """``files`` as an ActionResult in protobuf's encoding: field 2, `output_files`."""
    found = bytearray()
    for file in files:
        digest = _field(1, file.digest.encode("ascii")) + (b"\x10" + _varint(file.size) if file.size else b"")
        entry = _field(1, _utf8(file.path).encode()) + _field(2, digest)
        found += _field(2, entry + (b"\x20\x01" if file.executable else b""))
    return bytes(found)


def parse(data: bytes) -> list[OutputFile]:
    """The output files of an ActionResult in either form. Raises NotAnAction."""
    try:
        files = _from_json(data) if data.lstrip()[:1] == b"{" else list(_from_protobuf(data))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError):
        raise NotAnAction("what lies under the key is no ActionResult") from None
    if any(not valid_digest(f.digest) or f.size < 0 for f in files):
        raise NotAnAction("an ActionResult names a blob by something that is no SHA-256 digest")
    return files


def _utf8(path: str) -> str:
    """``path`` as text that every server takes: bytes that are no UTF-8 are spelled out."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _from_json(data: bytes) -> list[OutputFile]:
    found = json.loads(data)
    listed = found.get("outputFiles", found.get("output_files", []))
    return [
        OutputFile(
            str(entry["path"]),
            str(entry["digest"]["hash"]),
            int(entry["digest"].get("sizeBytes", entry["digest"].get("size_bytes", 0))),
            bool(entry.get("isExecutable", entry.get("is_executable", False))),
        )
        for entry in listed
    ]


def _from_protobuf(data: bytes) -> Iterator[OutputFile]:
    for number, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            entry = dict(_fields(value))
            digest = dict(_fields(_bytes(entry.get(2, b""))))
            size = digest.get(2, 0)
            yield OutputFile(
                _bytes(entry[1]).decode(),
                _bytes(digest[1]).decode("ascii"),
                size if isinstance(size, int) else -1,
                bool(entry.get(4)),
            )


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where text was expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field; of those that repeat, `dict` keeps the last, as protobuf does."""
    place = 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _read_varint(data, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _read_varint(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("an unknown wire type")
        if place + size > len(data):
            raise ValueError("a field is cut off")
        yield tag >> 3, data[place : place + size]
        place += size


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value

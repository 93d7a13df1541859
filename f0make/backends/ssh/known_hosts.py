"""Files of known hosts, read as OpenSSH reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): bytes in, keys out.

A line that cannot be read is named and skipped. paramiko's own reader stops at the first of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

CA, REVOKED = "@cert-authority", "@revoked"
LARGEST = 16 << 20
"""Bytes of a file that are read."""
_FIELDS = {
    "ssh-rsa": 3,
    "ssh-dss": 5,
    "ssh-ed25519": 2,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""Kind of key -> how many fields its public half has, its kind among them."""
_LONGEST_PATTERN = 1023
_BLANKS = b" \t"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: ``names`` as they stand there, the ``kind`` of key and its public half."""

    line: int
    marker: str
    """Empty, `CA` or `REVOKED`."""
    names: bytes
    kind: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that means nothing, and why."""

    line: int
    why: str


@dataclass(slots=True)
class Known:
    """What is known of one host."""

    keys: dict[str, list[bytes]] = field(default_factory=dict)
    """Kind -> public halves, in the order of the files."""
    revoked: set[bytes] = field(default_factory=set)
    authorities: set[bytes] = field(default_factory=set)
    """Public halves of those who may sign a certificate for it."""
    remarks: list[str] = field(default_factory=list)
    """Lines that could not be read, for people."""


def parse(data: bytes) -> Iterator[Entry | Unreadable]:
    """Every line of ``data`` that says something."""
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.split(b"\0")[0].lstrip(_BLANKS)
        if line.strip(b" \t\r") and not line.startswith(b"#"):
            yield _line(number, line)


def _line(number: int, line: bytes) -> Entry | Unreadable:
    marker = ""
    if line.startswith(b"@"):
        # The first blank counts before the first tab, as in OpenSSH.
        word, _, line = line.partition(b" " if b" " in line else b"\t")
        marker, line = word.decode("latin-1"), line.lstrip(_BLANKS)
        if marker not in (CA, REVOKED):
            return Unreadable(number, f"the marker {marker[:40]!r} is not known")
    names, rest = _word(line)
    kind, rest = _word(rest)
    text, _ = _word(rest)
    if not names or not kind or not text.strip():
        return Unreadable(number, "it has no names, kind and key")
    known = kind.decode("latin-1")
    if known not in _FIELDS:
        return Unreadable(number, f"the kind of key {known[:40]!r} is not known")
    try:
        key = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return Unreadable(number, "its key is no base64")
    if not _is_key(known, key):
        return Unreadable(number, f"its key is no {known} key")
    return Entry(number, marker, names, known, key)


def _word(line: bytes) -> tuple[bytes, bytes]:
    """The first word, and what follows the blanks behind it."""
    end = min((at for at in (line.find(blank) for blank in (b" ", b"\t")) if at >= 0), default=len(line))
    return line[:end], line[end:].lstrip(_BLANKS)


def _is_key(kind: str, key: bytes) -> bool:
    fields: list[bytes] = []
    at = 0
    while at + 4 <= len(key) and len(fields) < 8:
        (size,) = struct.unpack_from(">I", key, at)
        fields.append(key[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(key) or len(fields) != _FIELDS[kind] or fields[0] != kind.encode("ascii"):
        return False
    return "ed25519" not in kind or len(fields[1]) == 32


def matches(names: bytes, name: str) -> bool:
    """Whether the field ``names`` of a line stands for the host ``name`` (`host` or `[host]:port`)."""
    wanted = name.lower().encode("utf-8", "surrogateescape")
    if names.startswith(b"|"):
        return _is_hash_of(names, wanted)
    found = False
    for pattern in names.lower().split(b","):
        negated = pattern.startswith(b"!")
        if _like(pattern[negated:][:_LONGEST_PATTERN], wanted):
            if negated:
                return False
            found = True
    return found


def _is_hash_of(names: bytes, wanted: bytes) -> bool:
    parts = names.split(b"|")
    if len(parts) != 4 or parts[1] != b"1":
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except binascii.Error:
        return False
    return len(salt) == 20 and hmac.compare_digest(hmac.digest(salt, wanted, hashlib.sha1), digest)


def _like(pattern: bytes, text: bytes) -> bool:
    """Whether ``text`` is like ``pattern`` (``*``, ``?``), in time that grows with the product of their lengths."""
    at, place, star, back = 0, 0, -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place : place + 1] == b"*":
            star, back, place = place, at, place + 1
        elif place < len(pattern) and pattern[place : place + 1] in (b"?", text[at : at + 1]):
            at, place = at + 1, place + 1
        elif star >= 0:
            back += 1
            at, place = back, star + 1
        else:
            return False
    return not pattern[place:].strip(b"*")


def known(files: Iterable[str], name: str) -> Known:
    """What ``files`` say of the host ``name``; one that is not there, or cannot be read, says nothing."""
    found = Known()
    for path in files:
        try:
            with open(path, "rb") as file:
                data = file.read(LARGEST)
        except OSError:
            continue
        for entry in parse(data):
            if isinstance(entry, Unreadable):
                found.remarks.append(f"{path}:{entry.line}: {entry.why}; the line is passed over")
            elif matches(entry.names, name):
                if entry.marker == REVOKED:
                    found.revoked.add(entry.key)
                elif entry.marker == CA:
                    found.authorities.add(entry.key)
                elif entry.key not in found.keys.setdefault(entry.kind, []):
                    found.keys[entry.kind].append(entry.key)
    return found

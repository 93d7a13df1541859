"""Secrets do not reach a step's log: what the step writes goes through a pipe, and each secret in it becomes `***`."""

from __future__ import annotations

import os
import re
import select
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

MASK = b"***"
_PIECE = 1 << 16
_LONG_LINE = 4
"""Characters of a line that says something of the secret which it is part of, and of a secret that has other forms."""
_LONG_CODE = 5
"""Characters of base64 that hardly stand in a log by chance."""
_PATIENCE = 1.0
"""Seconds for what a step has written before its end; who writes later is not waited for."""


class Mask:
    """Replaces ``secrets`` in a stream of bytes, also where one is split between pieces."""

    def __init__(self, secrets: Iterable[str]) -> None:
        written = {form for text in secrets if text for form in _forms(text)}
        self._secrets = sorted(map(os.fsencode, written), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        """Of those that begin at one place the longest."""
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be written now that ``data`` has come."""
        data = self._held + data
        held = max((_overlap(data, secret) for secret in self._secrets), default=0)
        shown, self._held = self._split(data, len(data) - held)
        return shown

    def rest(self) -> bytes:
        """What was held back because it could have been the beginning of a secret."""
        rest, self._held = self._held, b""
        return self._split(rest, len(rest))[0]

    def text(self, text: str) -> str:
        """``text`` without the secrets."""
        data = os.fsencode(text)
        return os.fsdecode(self._split(data, len(data))[0])

    def names_in(self, values: Any) -> bool:
        """Whether one of the secrets stands in ``values`` (JSON)."""
        if isinstance(values, str):
            data = values.encode("utf-8", "surrogateescape")
            return any(secret in data for secret in self._secrets)
        if isinstance(values, dict):
            return any(map(self.names_in, values)) or any(map(self.names_in, values.values()))
        return isinstance(values, (list, tuple)) and any(map(self.names_in, values))

    def _split(self, data: bytes, until: int) -> tuple[bytes, bytes]:
        """(Masked, left for later): of secrets in each other the outer one counts, if it begins before ``until``."""
        if not any(secret in data for secret in self._secrets):
            return data[:until], data[until:]
        shown, at = b"", 0
        for match in self._pattern.finditer(data):
            if match.start() >= until:
                break
            shown += data[at : match.start()] + MASK
            at = match.end()
        return shown + data[at:until], data[max(at, until) :]


def _forms(secret: str) -> Iterator[str]:
    """``secret`` as programs write it: itself, its lines, and as text in JSON, Python, a shell, an address, and base64."""
    yield secret
    yield from (line for line in map(str.strip, secret.splitlines()) if len(line) >= _LONG_LINE)
    if len(secret) < _LONG_LINE:
        return  # Three characters in base64 stand in half of all logs by chance.
    if not secret.isalnum():
        for text in (_json(secret), repr(secret)[1:-1], _escaped(secret)):
            yield text
            yield text.replace("/", "\\/")
            yield _escaped_for_pages(text)
        yield secret.replace("'", "'\\''")
        yield secret.replace("'", "'\"'\"'")
        yield from _percent(secret)
    yield from _base64(os.fsencode(secret))


def _json(text: str) -> str:
    from f0make.ascii_json import dumper

    return dumper()(text)[1:-1]


def _escaped(text: str) -> str:
    """``text`` in JSON that is not ASCII."""
    return "".join(_json(letter) if letter < " " or letter in '"\\' else letter for letter in text)


def _escaped_for_pages(text: str) -> str:
    """JSON as some write it that may come to stand in a page."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _percent(text: str) -> Iterator[str]:
    """``text`` in an address: all that needs it spelled out, in either case, or with a slash or a plus for a blank."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
    for safe in (b"", b"/"):
        for form in ("%%%02X", "%%%02x"):
            spelled = [chr(b) if b in plain + safe else form % b for b in os.fsencode(text)]
            yield "".join(spelled)
            yield "".join(spelled).replace("%20", "+")


def _base64(secret: bytes) -> Iterator[str]:
    """What of ``secret`` shows in base64, in both alphabets, after 0, 1 or 2 bytes more than a multiple of three.

    What its first and last character share with the bytes around it is left. The lines that are usual are 76 and 64 long.
    """
    from binascii import b2a_base64

    for before in range(3):
        bits = 8 * (before + len(secret))
        text = b2a_base64(bytes(before) + secret, newline=False).decode("ascii")
        core = text[(8 * before + 5) // 6 : bits // 6]
        found = [core] if len(core) >= _LONG_CODE else []
        if before == 0:
            lines = (core[at : at + width] for width in (76, 64) for at in range(0, len(core), width))
            found += [line for line in lines if len(line) >= 2 * _LONG_CODE]
        for form in found:
            yield form
            yield form.replace("+", "-").replace("/", "_")


class MaskedLog:
    """A descriptor to write to in the place of ``log``, into which everything goes masked."""

    def __init__(self, log: int, mask: Mask) -> None:
        self._log, self._mask = log, mask
        self._reader, self.fd = os.pipe()
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._reader, False)
        self._thread = threading.Thread(target=self._pass_on, name="mask", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The step has ended: write what is left."""
        os.close(self.fd)
        self._thread.join(_PATIENCE)
        os.close(self._bell)
        self._thread.join()
        os.close(self._reader)
        os.close(self._ear)

    def _pass_on(self) -> None:
        told = False
        while True:
            try:
                data = os.read(self._reader, _PIECE)
            except BlockingIOError:
                if told:
                    break
                ready, _, _ = select.select([self._reader, self._ear], [], [])
                told = self._ear in ready
                continue
            self._write(self._mask.feed(data))
            if not data:
                break
        self._write(self._mask.rest())

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._log, view) :]
        except OSError:
            pass  # a full disk: the step's own words are lost, as they would be without this


def _overlap(data: bytes, secret: bytes) -> int:
    """The length of the longest end of ``data`` that is a beginning of ``secret``, and not all of it."""
    at = max(len(data) - len(secret) + 1, 0)
    while (at := data.find(secret[:1], at)) >= 0:
        if secret.startswith(data[at:]):
            return len(data) - at
        at += 1
    return 0

"""Secrets do not reach a step's log: what the step writes goes through a pipe, and each secret in it becomes `***`."""

from __future__ import annotations

import os
import select
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

MASK = b"***"
_PIECE = 1 << 16
_LONG_LINE = 8
"""Characters of a line that says something of the secret which it is part of."""
_PATIENCE = 1.0
"""Seconds for what a step has written before its end; who writes later is not waited for."""


class Mask:
    """Replaces ``secrets`` in a stream of bytes, also where one is split between pieces."""

    def __init__(self, secrets: Iterable[str]) -> None:
        written = {form for text in secrets if text for form in _forms(text)}
        self._secrets = sorted(map(os.fsencode, written), key=len, reverse=True)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be written now that ``data`` has come."""
        data = self._replaced(self._held + data)
        held = max((_overlap(data, secret) for secret in self._secrets), default=0)
        self._held = data[len(data) - held :]
        return data[: len(data) - held]

    def rest(self) -> bytes:
        """What was held back because it could have been the beginning of a secret."""
        rest, self._held = self._held, b""
        return rest

    def text(self, text: str) -> str:
        """``text`` without the secrets."""
        return os.fsdecode(self._replaced(os.fsencode(text)))

    def names_in(self, values: Any) -> bool:
        """Whether one of the secrets stands in ``values`` (JSON)."""
        if isinstance(values, str):
            data = values.encode("utf-8", "surrogateescape")
            return any(secret in data for secret in self._secrets)
        if isinstance(values, dict):
            return any(map(self.names_in, values)) or any(map(self.names_in, values.values()))
        return isinstance(values, (list, tuple)) and any(map(self.names_in, values))

    def _replaced(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        return data


def _forms(secret: str) -> Iterator[str]:
    """``secret`` as programs write it: itself, each longer line of it, and as text in JSON, Python, a shell, an address."""
    yield secret
    yield from (line for line in map(str.strip, secret.splitlines()) if len(line) >= _LONG_LINE)
    if not secret.isalnum():
        from f0make.compact import dumper

        yield dumper()(secret)[1:-1]
        yield repr(secret)[1:-1]
        yield secret.replace("'", "'\\''")
        yield _percent(secret, b"")
        yield _percent(secret, b"/")


def _percent(text: str, safe: bytes) -> str:
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~" + safe
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(text))


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
    for size in range(min(len(secret) - 1, len(data)), 0, -1):
        if data.endswith(secret[:size]):
            return size
    return 0

"""What a cache server is asked for, and what its refusals mean: nothing here raises, what fails is a miss."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobCorrupt, BlobError, Blobs
from f0make.cache.http.action_result import (
    JSON,
    PROTOBUF,
    NotAnAction,
    OutputFile,
    parse,
    to_json,
    to_protobuf,
)
from f0make.cache.http.http_client import Client
from f0make.cache.http.http_errors import Trouble

MOST_FAILURES = 3
"""Failures in a row after which a server is not asked any more in this run; one that took long counts twice."""
MOST_BYTES = 64 << 20
"""Bytes; the longest action or record that is read."""
_AT_ONCE = 4 << 20
"""Bytes; a blob up to this size is read, checked and sent in one piece."""
_CHUNK = 1 << 18
_REFUSED = frozenset({401, 403, 405, 501})
_NO_DIRECTORY = frozenset({404, 409, 500})
"""Answers to a PUT whose directory may be missing: RFC 4918 says 409, nginx says 500."""
_OF_A_KIND = frozenset({400, 411, 413, 415, 422})
"""Answers that speak against what was sent, not against the server."""


T = TypeVar("T")


class Server:
    """One server for one run. May be used by any number of threads."""

    def __init__(self, client: Client, readonly: bool = False) -> None:
        self.client = client
        self.readonly = readonly
        self.off = False
        """It is not asked any more."""
        self.received = self.sent = 0
        """Bytes of blobs."""
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._notes: list[str] = []
        self._failures = {"ask": 0, "send": 0}
        self._json = True
        self._known: set[str] = set()
        """Digests that the server holds, for all that is known."""
        self._bad: set[str] = set()
        """Digests under which it holds something else: to be sent again."""
        self._collections: set[str] = set()

    def notes(self) -> list[str]:
        """What a person should know and was not told yet."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def say(self, kind: str, text: str) -> None:
        """Tell a person ``text``, unless something of this ``kind`` was said before."""
        with self._lock:
            if kind not in self._said:
                self._said.add(kind)
                self._notes.append(text)

    # -- asking ------------------------------------------------------------------------------------------

    def action(self, key: str) -> list[OutputFile]:
        """The files of the ActionResult under ``key``; none when there is none."""

        def ask() -> list[OutputFile]:
            with self.client.request(
                "GET", f"ac/{key}", Accept=f"{PROTOBUF}, {JSON};q=0.9, */*;q=0.1"
            ) as reply:
                if not self._found(reply.status):
                    return []
                return parse(reply.read(MOST_BYTES))

        try:
            return self._asking(ask) or []
        except NotAnAction as error:
            self.say("action", f"cache {self.client.address}: {error}; taken as a miss")
            return []

    def read(self, digest: str, most: int = MOST_BYTES) -> bytes | None:
        """The bytes of a blob that has at most ``most``, verified; None for a miss."""

        def ask() -> bytes | None:
            with self.client.request("GET", f"cas/{digest}") as reply:
                return reply.read(min(most, MOST_BYTES)) if self._found(reply.status) else None

        data = self._asking(ask)
        if data is not None and hashlib.sha256(data).hexdigest() != digest:
            self._corrupt(digest)
            return None
        return data

    def fetch(self, digest: str, blobs: Blobs, size: int | None = None) -> bool:
        """Bring a blob into ``blobs``, verified; False for a miss.

        No more is taken than was announced: ``size`` bytes, or what `Content-Length` says, or `MOST_BYTES`.
        """

        def ask() -> bool:
            with self.client.request("GET", f"cas/{digest}") as reply:
                if not self._found(reply.status):
                    return False
                if None not in (size, reply.length) and size != reply.length:
                    raise BlobCorrupt(digest, "its size is not what was announced")
                announced = reply.length if size is None else size
                most = MOST_BYTES if announced is None else announced
                if most > blobs.room():
                    self.say("room", f"no room for {most} bytes from {self.client.address}; taken as a miss")
                    return False
                self.received += blobs.receive(digest, reply.chunks(), most)
                self._known.add(digest)
                return True

        try:
            return bool(self._asking(ask))
        except BlobCorrupt:
            self._corrupt(digest)
        except (CacheUnusable, OSError) as error:
            self.say("local", f"what comes from {self.client.address} cannot be kept: {error}")
        return False

    def holds(self, digest: str, size: int | None = None) -> bool:
        """Whether the server says that it holds the blob (of ``size`` bytes, where both know that)."""

        def ask() -> bool:
            with self.client.request("HEAD", f"cas/{digest}") as reply:
                there = reply.status == 200 and (size is None or reply.length in (None, size))
                return self._found(reply.status if reply.status not in _REFUSED else 404) and there

        if digest in self._bad:
            return False
        if digest not in self._known and self._asking(ask):
            self._known.add(digest)
        return digest in self._known

    def _asking(self, ask: Callable[[], T]) -> T | None:
        if self.off:
            return None
        try:
            found = ask()
        except Trouble as trouble:
            self._failed("ask", trouble)
            return None
        self._failures["ask"] = 0
        return found

    def _found(self, status: int) -> bool:
        if status == 200:
            return True
        if status in (404, 410, 204):
            return False
        if status == 401:
            text = f"{self.client.address} asks for a login (401)"
            raise Trouble("login", f"{text}: F0MAKE_CACHE_USER and F0MAKE_CACHE_PASSWORD, or ~/.netrc", True)
        raise Trouble(f"status {status}", f"{self.client.address} answered with status {status}")

    def _corrupt(self, digest: str) -> None:
        with self._lock:
            self._bad.add(digest)
            self._known.discard(digest)
        text = f"cache {self.client.address}: blob {digest} does not have the content that its name says"
        self.say("corrupt", f"{text}; taken as a miss")

    # -- sending -----------------------------------------------------------------------------------------

    @property
    def takes(self) -> bool:
        """Whether it is worth while to send anything."""
        return not (self.off or self.readonly)

    def store(self, digest: str, blobs: Blobs) -> int | None:
        """Send a blob of ``blobs`` that the server lacks: its size in bytes; None when that did not work."""
        path = blobs.path(digest)
        try:
            size = os.stat(path).st_size
            if self.holds(digest, size):
                return size
            if size <= _AT_ONCE:
                return size if self.store_bytes(digest, blobs.read(digest), held=False) else None
            sent = self._put(f"cas/{digest}", lambda: _pieces(path, digest, blobs), size, PROTOBUF)
        except (OSError, BlobError):
            return None  # trimmed away, or damaged, here: the step's own record says the rest
        if sent:
            self._sent(digest, size)
        return size if sent else None

    def store_bytes(self, digest: str, data: bytes, held: bool | None = None) -> bool:
        """Send ``data``, whose SHA-256 is ``digest``, unless the server has it (``held``: known already)."""
        if self.holds(digest, len(data)) if held is None else held:
            return True
        if not self._put(f"cas/{digest}", data, len(data), PROTOBUF):
            return False
        self._sent(digest, len(data))
        return True

    def store_action(self, key: str, files: Iterable[OutputFile]) -> bool:
        """Put ``files`` under ``key`` as an ActionResult, in the form that the server takes."""
        listed = list(files)
        if self._json:
            data = to_json(listed)
            if self._put(f"ac/{key}", data, len(data), JSON, quiet=True):
                return True
            if not self.takes:
                return False
        data = to_protobuf(listed)
        if not self._put(f"ac/{key}", data, len(data), PROTOBUF):
            return False
        self._json = False
        return True

    def _sent(self, digest: str, size: int) -> None:
        with self._lock:
            self._known.add(digest)
            self._bad.discard(digest)
            self.sent += size

    def _put(
        self,
        name: str,
        body: bytes | Callable[[], Iterable[bytes]],
        size: int,
        kind: str,
        quiet: bool = False,
    ) -> bool:
        """``quiet``: a refusal of what is sent is not said, because it will be sent in another form."""
        if not self.takes:
            return False
        try:
            status = self._put_once(name, body, size, kind)
            if status in _NO_DIRECTORY and self._make_collections(name):
                status = self._put_once(name, body, size, kind)
        except Trouble as trouble:
            self._failed("send", trouble)
            return False
        if 200 <= status < 300:
            self._failures["send"] = 0
            return True
        if status in _REFUSED:
            self.readonly = True
            self.say(
                "readonly", f"cache {self.client.address} takes nothing (status {status}): it is only read"
            )
        elif status not in _OF_A_KIND:
            self._failed(
                "send", Trouble(f"put {status}", f"{self.client.address} answered a PUT with {status}")
            )
        elif not quiet:
            self.say(f"put {status}", f"cache {self.client.address} did not take {name} (status {status})")
        return False

    def _put_once(self, name: str, body: bytes | Callable[[], Iterable[bytes]], size: int, kind: str) -> int:
        with self.client.request("PUT", name, body, size, Content_Type=kind) as reply:
            return reply.status

    def _make_collections(self, name: str) -> bool:
        """WebDAV wants a directory to be there before a file is put into it. Raises Trouble."""
        with self._lock:
            if name.partition("/")[0] in self._collections:
                return True
        base = self.client.address.path
        above = [base[:end] for end in range(2, len(base) + 1) if base[end - 1] == "/"]
        for path in (*above, f"{base}{name.partition('/')[0]}/"):
            with self.client.request("MKCOL", path) as reply:
                if not (200 <= reply.status < 300 or reply.status in (405, 301)):
                    return False
        with self._lock:
            self._collections.add(name.partition("/")[0])
        return True

    # -- failures ----------------------------------------------------------------------------------------

    def _failed(self, what: str, trouble: Trouble) -> None:
        with self._lock:
            self._failures[what] += 2 if trouble.kind == "timeout" else 1
            over = trouble.fatal or self._failures[what] >= MOST_FAILURES
            already = self.off or (what == "send" and self.readonly)
            if over and what == "send" and not trouble.fatal:
                self.readonly = True
            elif over:
                self.off = True
        if already:
            return  # what was under way when it was given up
        if over:
            rest = "nothing more is sent to it" if not self.off else "going on without it"
        elif what == "ask":
            rest = "taken as a miss (if that goes on, it is not asked any more)"
        else:
            rest = "this result is not shared (if that goes on, nothing more is sent)"
        self.say(f"{what} {trouble.kind}", f"cache: {trouble}; {rest}")


def _pieces(path: str, digest: str, blobs: Blobs) -> Iterator[bytes]:
    """The content of a blob; its last piece comes only if all of it has ``digest``, else BlobCorrupt."""
    found = hashlib.sha256()
    held = b""
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            found.update(data)
            if held:
                yield held
            held = data
    if found.hexdigest() != digest:
        with suppress(OSError):
            blobs.drop(digest)
        raise BlobCorrupt(digest, f"blob {digest} was damaged and has been dropped")
    yield held

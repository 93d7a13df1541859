"""The records and blobs of a cache server for one run: asked for in the background, answered when they come.

The decider asks; while the answer is on its way it gets None, and decides something else. What is found
lands in the local blob store, verified; what is made is sent in the background.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from f0make.cache.blobs import Blobs
from f0make.cache.http.action_result import RECORDS, OutputFile
from f0make.cache.http.http_factory import open_server
from f0make.cache.http.remote_store import MOST_BYTES, Server
from f0make.cache.http.request_threads import Pool, together
from f0make.cache.shared_records import MOST_VARIANTS, foreign_record
from f0make.files.content_digest import blobs_of
from f0make.store import log_lines
from f0make.store.variant import variant_of

ASKING, SENDING = 16, 6
"""Connections for either direction."""
MOST_TRIES = 3
"""How often a record is put again where another one came between reading and writing."""
DISCOVERIES = ("discovered", "reads", "missing_reads")
"""Fields of a record for which several under one key make sense."""
END_WAIT = 15.0
"""Seconds that the end of a run waits for what is still to be sent …"""
END_RATE = 2 << 20
"""… and one more for so many bytes of it."""

Record = dict[str, Any]


class RemoteCache:
    """`find`, `bring` and `put` over the network. ``look_only``: bring no blob, only find out who has it.

    All methods are for one thread, but for what the pools run.
    """

    unrestricted = True

    def __init__(self, server: Server, blobs: Blobs, look_only: bool = False) -> None:
        self.server = server
        self.blobs = blobs
        self.look_only = look_only
        self.hits = self.misses = 0
        self._asking = Pool(ASKING, "cache-ask")
        self._sending = Pool(SENDING, "cache-send")
        self._records: dict[str, Sequence[Record] | None] = {}
        """Key -> what was found under it; None: not answered yet."""
        self._brought: dict[str, bool | None] = {}
        self._sizes: dict[str, int] = {}
        """Digest -> bytes, of the blobs for which an ActionResult says so."""
        self._outstanding = 0
        """Bytes that wait to be sent."""
        self._answered = threading.Condition()
        self._listener: Callable[[str], None] | None = None

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with the key, from any thread, whenever something about it was answered."""
        self._listener = listener

    def find(self, key: str) -> Sequence[Record] | None:
        """All records of ``key``, newest first; None while the answer is on its way."""
        if key not in self._records:
            if self.server.off:
                return ()
            self._records[key] = None
            self._asking.submit(lambda: self._look(key))
        return self._records[key]

    def bring(self, key: str, digests: Sequence[str]) -> bool | None:
        """Whether the blobs of a record of ``key`` are here now (looking only: are to be had); None: on their way."""
        if key not in self._brought:
            if self.server.off:
                return False
            self._brought[key] = None
            one = self.server.holds if self.look_only else self._fetch
            together(
                self._asking,
                [partial(one, digest) for digest in dict.fromkeys(digests)],
                lambda found: self._answer(self._brought, key, all(found)),
            )
            return None
        found = self._brought[key]
        if not found or self.look_only:
            return found
        self._records.pop(key, None)  # the workspace's own log has it from now on
        return all(map(self.blobs.has, digests))

    def wait(self, key: str) -> None:
        """Wait until what was asked about ``key`` is answered; every request has a limit in time."""
        with self._answered:
            while self._records.get(key, ()) is None or self._brought.get(key, False) is None:
                self._answered.wait()

    def put(self, key: str, record: Record) -> None:
        """Send ``record`` and its blobs, soon; what cannot be sent is not there for others, nothing else."""
        if not self.server.takes:
            return
        outputs, trees = record["outputs"], record.get("trees", {})
        digests = {d: None for path, token in outputs.items() for d in blobs_of(token, trees.get(path))}
        size = self._size(digests)
        with self._answered:
            self._outstanding += size
        together(
            self._sending,
            [partial(self.server.store, digest, self.blobs) for digest in digests],
            lambda sizes: self._put_record(key, record, dict(zip(digests, sizes, strict=True)), size),
        )

    def close(self, stopped: Callable[[], bool]) -> None:
        """Wait, within a bound or until ``stopped``, for what is being sent; then let go of the server."""
        began = time.monotonic()
        while self._sending.open and not stopped() and self.server.takes:
            if time.monotonic() - began > END_WAIT + self._outstanding / END_RATE:
                text = f"cache {self.server.client.address}: the run ended before everything was sent to it"
                self.server.say("end", text)
                break
            time.sleep(0.01)
        self.server.readonly = self.server.off = True
        self.server.client.close()

    def notes(self) -> list[str]:
        """What a person should know and was not told yet."""
        return self.server.notes()

    def fields(self) -> dict[str, Any]:
        """Part of a run's summary: keys found and not found, bytes of blobs received and sent."""
        found = {"hits": self.hits, "misses": self.misses}
        return {"remote_cache": {**found, "received": self.server.received, "sent": self.server.sent}}

    # What the pools run.

    def _look(self, key: str) -> None:
        files: list[OutputFile] = []
        room = MOST_BYTES
        for file in self.server.action(key):
            if not file.path.startswith(RECORDS):
                self._sizes[file.digest] = file.size
            elif file.size <= room and len(files) < MOST_VARIANTS:
                room -= file.size
                files.append(file)
        if len(files) < 2:
            self._found(key, [self._read_record(key, file) for file in files])
            return
        reads = [partial(self._read_record, key, file) for file in files]
        together(self._asking, reads, lambda found: self._found(key, found))

    def _found(self, key: str, records: Sequence[Record | None]) -> None:
        sound_ones = [record for record in records if record is not None]
        if sound_ones:
            self.hits += 1
        else:
            self.misses += 1
        self._answer(self._records, key, sound_ones)

    def _read_record(self, key: str, file: OutputFile) -> Record | None:
        data = self.server.read(file.digest, file.size or MOST_BYTES)
        if data is None:
            return None
        record = foreign_record(data, key)
        if record is None:
            self.server.say(
                "record", f"cache {self.server.client.address}: a record is damaged; taken as a miss"
            )
        return record

    def _fetch(self, digest: str) -> bool:
        return self.blobs.has(digest) or self.server.fetch(digest, self.blobs, self._sizes.get(digest))

    def _answer(self, answers: dict[str, Any], key: str, answer: object) -> None:
        with self._answered:
            answers[key] = answer
            self._answered.notify_all()
        if self._listener is not None:
            self._listener(key)

    def _put_record(self, key: str, record: Record, sizes: dict[str, int | None], size: int) -> None:
        try:
            if self.server.takes and None not in sizes.values():
                data = log_lines.encode("record", record)
                digest = hashlib.sha256(data).hexdigest()
                if self.server.store_bytes(digest, data):
                    own = OutputFile(RECORDS + variant_of(record), digest, len(data))
                    self._put_action(key, own, record, sizes)
        finally:
            with self._answered:
                self._outstanding -= size

    def _put_action(self, key: str, own: OutputFile, record: Record, sizes: dict[str, int | None]) -> None:
        """Put ``own`` before the records that others left under ``key``; again if another client did so meanwhile."""
        discovers = any(record.get(name) for name in DISCOVERIES)
        there = self.server.action(key)
        for _ in range(MOST_TRIES):
            others = [f for f in there if _other_record(f, own)][: MOST_VARIANTS - 1]
            if not self.server.store_action(key, [own, *others, *_outputs(record, sizes)]) or not discovers:
                return  # of records that discovered nothing the newest is as good as all
            there = self.server.action(key)
            paths = {file.path for file in there}
            if not there or all(file.path in paths for file in (own, *others)):
                return
            there += [file for file in others if file.path not in paths]

    def _size(self, digests: dict[str, None]) -> int:
        return sum(self.blobs.size(digest) or 0 for digest in digests)


def _other_record(file: OutputFile, own: OutputFile) -> bool:
    return file.path.startswith(RECORDS) and file.path != own.path


def _outputs(record: Record, sizes: dict[str, int | None]) -> list[OutputFile]:
    """The files that ``record`` is restored from: a server that drops one of them drops the action, too."""
    found = []
    trees = record.get("trees", {})
    for path, token in record["outputs"].items():
        tree = trees.get(path)
        for name, entry in (
            ((path, token),) if tree is None else ((f"{path}/{r}", t) for r, t in tree.items())
        ):
            for digest in blobs_of(entry, None):
                found.append(OutputFile(name, digest, sizes[digest] or 0, entry.endswith("x")))
    return found


def open_cache(
    text: str, environ: Mapping[str, str], blobs: Blobs, readonly: bool, look_only: bool
) -> RemoteCache:
    """The cache at the address ``text`` with ``blobs`` as its local tier. Raises UsageError."""
    return RemoteCache(open_server(text, environ, readonly or look_only), blobs, look_only)

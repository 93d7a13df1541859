"""Contents of results on their way home from a host: what was asked for, and what is here."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.backends.ssh.staging_store import Transit
from f0make.cache.blobs import Blobs
from f0make.worker.agent import wire_format
from f0make.worker.agent.receive import Intake


class Incoming:
    """What one host sends, taken into ``transit``. For the thread that listens; `close` and `give_up` for any."""

    def __init__(self, transit: Transit) -> None:
        self._transit = transit
        self._asked: dict[str, int] = {}
        """Digest -> size (bytes) of the contents that the host was asked for and that are not here yet."""
        self._intake = Intake(transit, self._asked)
        self._stores: dict[str, Blobs] = {}

    @property
    def waits(self) -> int:
        """Bytes of contents that came before the outcome that names them: it must be the next message."""
        return self._intake.waits

    def take(self, kind: int, payload: memoryview) -> tuple[list[str], list[str]]:
        """(digests that are here now, digests whose bytes were wrong) of a PACK or PART message. Raises Garbled."""
        good, bad = self._intake.pack(payload) if kind == wire_format.PACK else self._intake.part(payload)
        for digest in good:
            self._asked.pop(digest, None)
        return good, bad

    def along(self, sizes: dict[str, int]) -> None:
        """A result names contents of these ``sizes``: keep those that came just before it. Raises Garbled."""
        self._intake.along(sizes)

    def lacking(self, digests: Iterable[str], store: str | None) -> set[str]:
        """Expect a result's ``digests``; those that are neither here, nor in the cache ``store``, yet."""
        wanted = list(digests)
        self._transit.expect(wanted)
        return {digest for digest in wanted if not self._here(store, digest)}

    def unasked(self, digests: set[str]) -> set[str]:
        """Those of ``digests`` that the host has not been asked for."""
        return digests - self._asked.keys()

    def awaits(self, digest: str) -> bool:
        """Whether the host was asked for ``digest`` and it is not here yet."""
        return digest in self._asked

    def ask(self, sizes: dict[str, int]) -> tuple[int, int]:
        """Await these contents (digest -> size): (bytes that are awaited in all, bytes that there is room for)."""
        self._asked.update(sizes)
        return sum(self._asked.values()), self._transit.room()

    def give_up(self, digests: Iterable[str]) -> None:
        """A result that has these will not come home."""
        self._transit.expect_no_more(digests)

    def close(self) -> None:
        """Drop what has arrived in part."""
        self._intake.close()

    def _here(self, store: str | None, digest: str) -> bool:
        if self._transit.has(digest):
            return True
        if store is None:
            return False
        if store not in self._stores:
            self._stores[store] = Blobs(store, readonly=True)
        return self._stores[store].has(digest)

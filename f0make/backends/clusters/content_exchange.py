"""How contents get from this machine to workers and back: stores in directories that both see, or a server's."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any

from f0make import STATE
from f0make.backends import bundle_sources
from f0make.backends.ssh import fetch_results
from f0make.cache.blobs import BlobMissing, Blobs
from f0make.worker.agent import manifest, outcome_digests
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.cluster.child_stores import Paired

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = os.path.join(STATE, "exchange")
PATIENCE = 5.0
"""Seconds until what a worker has stored must be visible here (NFS keeps what it knows of a directory for a while)."""


class CannotSend(Exception):
    """A content that a step needs cannot be given to workers; the text says which and why."""


class Exchange:
    """The stores of one run in ``workspace``. ``cache``: where outputs are kept, None when they are not.

    ``server`` is a cache over HTTP that workers reach, None when there is none.
    """

    def __init__(self, workspace: str, cache: Blobs | None, server: Any = None) -> None:
        self.directory = os.path.join(workspace, DIRECTORY)
        self._cache = cache
        self._server = server
        self._blobs = Blobs(self.directory)
        self._known: set[str] = set()
        """Digests that workers can have."""
        self.shared = True
        """Whether workers see the directories; else everything goes through the server."""

    def open(self) -> None:
        """Make the exchange anew. Raises CacheUnusable and OSError."""
        self.close()
        self._blobs.prepare()
        self._text = secrets.token_hex(16)
        self._probe = os.path.join(self.directory, "tmp", f"probe-{self._text}")
        with open(self._probe, "w", encoding="ascii") as file:
            file.write(self._text)

    def close(self) -> None:
        """Remove what only this run needed."""
        self._blobs.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def probe(self) -> tuple[str, str]:
        """A file and its text: who sees it sees the exchange."""
        return self._probe, self._text

    @property
    def cache(self) -> str | None:
        """Directory of the cache."""
        return self._cache.directory if self._cache is not None else None

    def answer(self, number: int) -> str:
        """The path at which a worker answers the probe."""
        return f"{self._probe}-{number}"

    def answered(self, number: int) -> bool:
        """Whether the answer ``number`` of a worker is seen here."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with open(self.answer(number), encoding="ascii") as file:
                    return file.read() == self._text
            except OSError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.1)

    def send(self, bundle: Bundle) -> None:
        """Put everything that ``bundle`` needs where workers find it. Raises CannotSend, and OSError (no space)."""
        try:
            sources = bundle_sources.sources(bundle)
            for digest, source in sources.items():
                if digest not in self._known:
                    self._give(digest, source)
                    self._known.add(digest)
        except bundle_sources.InputGone as error:
            raise CannotSend(f"its input {error} is gone") from None

    def _give(self, digest: str, source: bundle_sources.Source) -> None:
        from f0make.cache.blob_files import CacheUnusable
        from f0make.cache.blobs import BlobError

        if self.shared and self._cache is not None and self._cache.has(digest):
            return
        if self._server is not None and not self.shared and self._server.holds(digest):
            return
        try:
            if isinstance(source, bytes):
                self._blobs.add_bytes(source)
            else:
                self._blobs.add(source, digest)
        except FileNotFoundError:
            raise CannotSend(f"its input {source!r} is gone") from None
        except (BlobError, CacheUnusable) as error:
            raise CannotSend(str(error)) from None
        if not self.shared and not self._server.store(digest, self._blobs):
            raise CannotSend("its inputs cannot be sent to the cache: " + "; ".join(self._server.notes()))

    def forget(self, bundle: Bundle) -> None:
        """Workers do not find what ``bundle`` needs: look at each content again."""
        self._known.difference_update(manifest.digests(bundle))

    def bring(self, bundle: Bundle, outcome: Outcome) -> None:
        """Put the outputs and the log of ``outcome`` into the workspace.

        Raises what `arrival.place` raises.
        """
        store = self._blobs
        if bundle.store is not None and self._cache is not None:
            store = Paired(self._cache.directory, self._blobs) if self.shared else self._cache
        wanted = outcome_digests.wanted(outcome)
        if not self.shared:
            for digest in wanted:
                if not store.has(digest):
                    self._server.fetch(digest, store)
        self._patiently(lambda: fetch_results.place(bundle, outcome, store))
        if outcome.ok:
            self._known.update(digest for digest in wanted if digest != outcome.log)

    def _patiently(self, act: Callable[[], None]) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                act()
                return
            except BlobMissing:
                if not self.shared or time.monotonic() >= until:
                    raise
                time.sleep(0.2)

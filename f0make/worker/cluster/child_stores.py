"""The stores that a child reads and writes: the cache, and the exchange of what only this run needs.

Both are directories that f0make sees too, or a server's that stands in for them. Standard library only, and readable
by Python 3.9.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

from f0make.cache.blobs import BlobMissing, Blobs
from f0make.fast_dataclass import dataclass

if TYPE_CHECKING:
    from f0make.worker.bundle import Outcome


@dataclass
class Setup:
    """What a child must know once; sent as a tuple of its fields."""

    variables: dict[str, str]
    """F0MAKE_… variables for every step."""
    store: Optional[str]  # noqa: UP045 - Python 3.9
    """Directory of the cache, None: there is none for the whole run."""
    exchange: str
    """Directory of the store of what is needed in this run only."""
    probe: tuple[str, str]
    """A file and its text: seen here, the stores are the same as f0make's."""
    server: str = ""
    """Address of the cache through which contents travel when directories are not shared."""


class Unseen(Exception):
    """The stores cannot be reached from here; the text says why."""


class Paired(Blobs):
    """A store in ``directory``; what it lacks is looked for in ``other``, and single files (logs) go to ``exchange``."""

    def __init__(self, directory: str, other: Blobs, exchange: Blobs | None = None) -> None:
        super().__init__(directory)
        self._other = other
        self._exchange = exchange

    def add(self, path: str, digest: str) -> None:
        """As `Blobs.add`, into the exchange: what is to be kept is put into the directory by the runner itself."""
        if self._exchange is not None:
            self._exchange.add(path, digest)
        else:
            super().add(path, digest)

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> int:
        """As `Blobs.fetch`, from either store."""
        try:
            return super().fetch(digest, target, executable, temporary)
        except BlobMissing:
            return self._other.fetch(digest, target, executable, temporary)

    def copy_into(self, digest: str, target: int) -> None:
        """As `Blobs.copy_into`, from either store."""
        try:
            super().copy_into(digest, target)
        except BlobMissing:
            self._other.copy_into(digest, target)

    def read(self, digest: str) -> bytes:
        """As `Blobs.read`, from either store."""
        try:
            return super().read(digest)
        except BlobMissing:
            return self._other.read(digest)


class Served(Blobs):
    """A store in a directory of this worker; what it lacks comes from a server."""

    def __init__(self, directory: str, server: Any) -> None:
        super().__init__(directory)
        self._server = server

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> int:
        """As `Blobs.fetch`; the server is asked first when the blob is not here."""
        self._get(digest)
        return super().fetch(digest, target, executable, temporary)

    def copy_into(self, digest: str, target: int) -> None:
        """As `Blobs.copy_into`; the server is asked first when the blob is not here."""
        self._get(digest)
        super().copy_into(digest, target)

    def read(self, digest: str) -> bytes:
        """As `Blobs.read`; the server is asked first when the blob is not here."""
        self._get(digest)
        return super().read(digest)

    def _get(self, digest: str) -> None:
        if not self.has(digest):
            self._server.fetch(digest, self)


class TwoStores:
    """What ``setup`` names; ``local`` is a directory of this worker for what comes from a server. Raises Unseen."""

    def __init__(self, setup: Setup, local: str) -> None:
        self._server: Any = None
        path, text = setup.probe
        why = _seen(path, text, [d for d in (setup.store, setup.exchange) if d])
        if not why:
            exchange = Blobs(setup.exchange)
            self._temporary: Blobs = exchange
            self._kept: Blobs = Paired(setup.store, exchange, exchange) if setup.store else exchange
            if setup.store:
                self._temporary = Paired(setup.exchange, Blobs(setup.store))
        elif setup.server:
            from f0make.cache.http.http_factory import open_server

            self._server = open_server(setup.server, os.environ)
            self._kept = self._temporary = Served(local, self._server)
        else:
            raise Unseen(why)

    def keeping(self, keep: bool) -> Blobs:
        """The store for a bundle whose outputs the cache is to ``keep``, or not."""
        return self._kept if keep else self._temporary

    def hand_on(self, outcome: Outcome) -> None:
        """Give what ``outcome`` names to the server, if that is how contents travel; what fails makes it lost."""
        if self._server is None:
            return
        from f0make.worker.agent.outcome_digests import wanted

        for digest in wanted(outcome):
            if not self._server.store(digest, self._kept):
                outcome.ok, outcome.lost = False, True
                outcome.message = "its outputs cannot be sent to the cache: " + "; ".join(
                    self._server.notes()
                )
                return


def _seen(path: str, text: str, directories: list[str]) -> str:
    """ "" when the file ``path`` holds ``text`` and ``directories`` can be written to, else why not."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() != text:
                return f"{path} is another file there"
    except OSError as error:
        return f"{path}: {error.strerror}"
    for directory in directories:
        if not os.access(directory, os.W_OK | os.X_OK):
            return f"{directory}: it cannot be written to"
    return ""

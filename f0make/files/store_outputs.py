"""Keeping in blobs what lies at an output, so that it can be restored."""

from __future__ import annotations

import os

from f0make.fast_dataclass import Protocol
from f0make.files.content_digest import EMPTY_DIR, blob_of


class Keeps(Protocol):
    """What `keep` needs of a blob store."""

    def add(self, path: str, digest: str) -> None:
        """Store the file ``path``, which has ``digest``."""
        ...

    def add_bytes(self, data: bytes) -> str:
        """Store ``data``; its digest."""
        ...


def keep(root: str, path: str, token: str, tree: dict[str, str] | None, blobs: Keeps) -> None:
    """Store in ``blobs`` what restoring the output ``path`` with ``token`` (and ``tree``) needs.

    Raises ContentChanged, CacheUnusable, or OSError (no space, a file that has vanished).
    """
    full = os.path.join(root, path)
    if tree is not None:
        for rel, entry in tree.items():
            _keep_one(os.path.join(full, rel), entry, blobs)
    else:
        _keep_one(full, token, blobs)


def _keep_one(full: str, token: str, blobs: Keeps) -> None:
    if token.startswith("@"):
        blobs.add_bytes(os.fsencode(os.readlink(full)))
    elif token != EMPTY_DIR:
        blobs.add(full, blob_of(token))

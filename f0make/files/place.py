"""Everything that changes what lies at a path of the workspace, under one name.

Paths are relative to the workspace ``root``. Nothing that f0make did not make is overwritten or deleted
unless the caller says so.
"""

from __future__ import annotations

from f0make.cache.blobs import BlobCorrupt, BlobMissing
from f0make.files.aside import displace, fail_aside
from f0make.files.clearing import blocking_parent, make_parents, protect, prune, remove
from f0make.files.digest import FileError
from f0make.files.restore import blobs_of, keep, restore

__all__ = [
    "BlobCorrupt",
    "BlobMissing",
    "FileError",
    "blobs_of",
    "blocking_parent",
    "displace",
    "fail_aside",
    "keep",
    "make_parents",
    "protect",
    "prune",
    "remove",
    "restore",
]

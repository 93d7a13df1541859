"""A result comes home: its outputs from the blob store into the workspace, its log to where logs lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from f0make.execution.bundle import Bundle, Outcome
from f0make.files.digest import EMPTY_DIR, blob_of
from f0make.files.restore import restore
from f0make.files.signature import clock_ns

if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs


def wanted(outcome: Outcome) -> dict[str, None]:
    """The digests of the outputs and the log that must be here before `place`, in order."""
    found: dict[str, None] = {}
    for path, token in outcome.outputs.items():
        tokens = outcome.trees[path].values() if path in outcome.trees else (token,)
        found.update(dict.fromkeys(blob_of(t) for t in tokens if t != EMPTY_DIR))
    if outcome.log:
        found[outcome.log] = None
    return found


def place(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put what ``outcome`` names into the workspace of ``bundle``, from ``blobs``, verified.

    An output appears whole or not at all. Raises BlobMissing, BlobCorrupt, FileError (something is in the way)
    and OSError (no space). To be called once, for an attempt that is still expected.
    """
    if outcome.log:
        keep_log(bundle, outcome, blobs)
    if not outcome.ok:
        return
    root = bundle.workspace
    for path, token in outcome.outputs.items():
        tree = outcome.trees.get(path)
        clock = clock_ns()
        written = restore(root, path, token, tree, blobs)
        if token.startswith("@"):
            from f0make.files.contents import Contents

            # A link counts with what it leads to here.
            outcome.outputs[path] = Contents(root).token(path) or "-"
        for file, signature in written.items():
            outcome.signatures[file] = (*signature, clock)
    outcome.stored = bundle.store is not None and outcome.stored


def keep_log(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put the log where `f0make log` looks for it; a log that cannot be had is no fault of the step."""
    if bundle.log and outcome.log:
        os.makedirs(os.path.dirname(bundle.log), exist_ok=True)
        blobs.fetch(outcome.log, bundle.log, False)

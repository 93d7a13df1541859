"""A result comes home: its outputs from the blob store into the workspace, its log to where logs lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from f0make.cache.blobs import BlobError
from f0make.errors import F0makeError
from f0make.execution.bundle import Bundle, Outcome
from f0make.files.digest import EMPTY_DIR, blob_of
from f0make.files.restore import restore
from f0make.files.signature import FOREVER, clock_ns

if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs


def wanted(outcome: Outcome) -> dict[str, None]:
    """The digests of the outputs and the log that must be here before `place`, in order."""
    return dict.fromkeys(named(outcome))


def named(outcome: Outcome) -> Iterator[str]:
    """The same, each as often as something has that content."""
    for path, token in outcome.outputs.items():
        for entry in outcome.trees[path].values() if path in outcome.trees else (token,):
            if entry != EMPTY_DIR:
                yield blob_of(entry)
    if outcome.log:
        yield outcome.log


def place(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put what ``outcome`` names into the workspace of ``bundle``, from ``blobs``, verified.

    An output appears whole or not at all; what a failed step left at its outputs comes, too, and is named in
    ``outcome`` no more. Raises BlobMissing, BlobCorrupt, FileError (something is in the way)
    and OSError (no space). To be called once, for an attempt that is still expected.
    """
    if outcome.log:
        keep_log(bundle, outcome, blobs)
    if not outcome.ok:
        _place_left(bundle, outcome, blobs)
        return
    root = bundle.workspace
    for path, token in outcome.outputs.items():
        tree = outcome.trees.get(path)
        clock, sure = clock_ns(), set[str]()
        written = restore(root, path, token, tree, blobs, sure=sure)
        if token.startswith("@"):
            from f0make.files.contents import Contents

            # A link counts with what it leads to here.
            outcome.outputs[path] = Contents(root).token(path) or "-"
        for file, signature in written.items():
            outcome.signatures[file] = (*signature, FOREVER if file in sure else clock)
    outcome.stored = bundle.store is not None and outcome.stored


def _place_left(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put what a failed step left where it would lie had it run here, as far as that goes; it is no result."""
    for path, token in outcome.outputs.items():
        with suppress(OSError, BlobError, F0makeError):
            restore(bundle.workspace, path, token, outcome.trees.get(path), blobs)
    outcome.outputs, outcome.trees = {}, {}


def keep_log(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put the log where `f0make log` looks for it; a log that cannot be had is no fault of the step."""
    if bundle.log and outcome.log:
        os.makedirs(os.path.dirname(bundle.log), exist_ok=True)
        blobs.fetch(outcome.log, bundle.log, False)

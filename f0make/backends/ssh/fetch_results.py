"""A result comes home: its outputs from the blob store into the workspace, its log to where logs lie."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from f0make.cache.blobs import BlobError
from f0make.errors import F0makeError
from f0make.files import times_and_modes
from f0make.files.signature import FOREVER, clock_ns
from f0make.worker.bundle import Bundle, Outcome
from f0make.workspace.tree_names import WrongTree
from f0make.workspace.workspace_files import FileError, Workspace

if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs


_SKEW = 2.0
"""Seconds by which the clocks of two machines may differ, and a result be on its way, without that being seen."""
_CENTURY = 3e9


def place(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put what ``outcome`` names into the workspace of ``bundle``, from ``blobs``, verified.

    An output appears whole or not at all; what a failed step left at its outputs comes, too, and is named in
    ``outcome`` no more. Where nothing came no directory is left. Raises BlobMissing, BlobCorrupt, FileError (something
    is in the way, or the outcome names what cannot be) and OSError (no space). To be called once, for an attempt that
    is still expected.
    """
    if outcome.log:
        keep_log(bundle, outcome, blobs)
    noted = {"times": outcome.times, "modes": outcome.modes}
    if not times_and_modes.sound({**noted, "outputs": outcome.outputs, "trees": outcome.trees}):
        outcome.times, outcome.modes = {}, {}
    _set_clock(outcome)
    with Workspace(bundle.workspace) as workspace:
        if not outcome.ok:
            _place_left(workspace, outcome, blobs)
            return
        for path in outcome.outputs:
            _place_one(workspace, path, outcome, blobs)
    outcome.stored = bundle.store is not None and outcome.stored


def _place_one(workspace: Workspace, path: str, outcome: Outcome, blobs: Blobs) -> None:
    token, tree = outcome.outputs[path], outcome.trees.get(path)
    clock = clock_ns()
    made = workspace.make_parents(path)
    try:
        written = workspace.restore(path, token, tree, blobs, marks=_marks(outcome, path))
    except BaseException as error:
        workspace.unmake(made)
        if isinstance(error, WrongTree):
            raise FileError(f"its output {path!r} is no directory that can be: {error}") from None
        raise
    for file, (signature, sure) in written.items():
        outcome.signatures[file] = (*signature, FOREVER if sure else clock)


def _place_left(workspace: Workspace, outcome: Outcome, blobs: Blobs) -> None:
    """Put what a failed step left where it would lie had it run here, as far as that goes; it is no result."""
    for path in list(outcome.outputs):
        with suppress(OSError, BlobError, F0makeError):
            _place_one(workspace, path, outcome, blobs)
    outcome.outputs, outcome.trees, outcome.signatures = {}, {}, {}
    outcome.times, outcome.modes = {}, {}


def _marks(outcome: Outcome, path: str) -> times_and_modes.Marks:
    return times_and_modes.Marks({"times": outcome.times, "modes": outcome.modes}, path)


def _set_clock(outcome: Outcome) -> None:
    """Turn times by the clock of another machine into times by this one's, where the two differ."""
    late = time.time() - outcome.started - outcome.seconds
    if not outcome.times or not outcome.started or not _SKEW < abs(late) < _CENTURY:
        return
    ahead = int(late * 1e9)
    outcome.times = {
        path: value + ahead if isinstance(value, int) else {p: t + ahead for p, t in value.items()}
        for path, value in outcome.times.items()
    }


def keep_log(bundle: Bundle, outcome: Outcome, blobs: Blobs) -> None:
    """Put the log where `f0make log` looks for it; a log that cannot be had is no fault of the step."""
    if bundle.log and outcome.log:
        os.makedirs(os.path.dirname(bundle.log), exist_ok=True)
        blobs.fetch(outcome.log, bundle.log, False)

"""One attempt at another place: a private directory with its inputs, the runner, outputs kept by digest.

The same on a host over SSH and in a worker of another engine; nothing here knows how the bundle came. Part of
what is sent to hosts: standard library only, Python 3.9.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobError, Blobs
from f0make.cache.machine import machine
from f0make.errors import NO_ROOM
from f0make.fast_dataclass import replace
from f0make.files.beneath import Below
from f0make.files.content_digest import EMPTY_DIR, blob_of
from f0make.files.store_outputs import keep
from f0make.worker import inherited_environ
from f0make.worker.agent.sandbox import Workplace
from f0make.worker.bundle import Bundle, Outcome
from f0make.worker.collect import fail
from f0make.worker.runner import Runner

LOGS = "logs"
LONGEST_LOG = 64 << 20
"""Bytes of a log that travel."""
SCRATCH = "scratch"
_count = itertools.count(1)


class Store(Protocol):
    """Where contents lie by digest: `cache.blobs.Blobs`, or what looks like it."""

    def fetch(self, digest: str, target: str, executable: bool, temporary: str | None = None) -> object:
        """Write the blob to ``target``, verified. Raises BlobError when it cannot be had."""
        ...

    def read(self, digest: str) -> bytes:
        """The blob's bytes, verified. Raises BlobError."""
        ...

    def add(self, path: str, digest: str) -> None:
        """Store the file ``path``, which has ``digest``."""
        ...

    def add_bytes(self, data: bytes) -> str:
        """Store ``data``; its digest."""
        ...


class Unfit(Exception):
    """This place cannot run the step; the text says why."""


def run_attempt(
    bundle: Bundle,
    place: str,
    store: Store,
    environ: Mapping[bytes, bytes],
    runner: Runner | None = None,
    kept: Workplace | None = None,
) -> Outcome:
    """Run ``bundle`` in a new private directory below ``place`` (absolute), which is removed afterwards.

    With ``kept`` (of the same ``place``, for a process that runs one attempt after the other, with one ``runner``)
    that may be one that an earlier attempt has left empty.

    ``store`` holds the inputs and python modules that ``bundle.contents``, ``trees`` and ``modules`` name, and
    gets the outputs and the log (``outcome.log``). Steps inherit ``environ`` and a private TMPDIR, nothing
    else. ``runner`` may be kept for the next attempt: it is pointed at this one's directory. The current
    directory is that one meanwhile, and ``place`` afterwards.

    Raises BlobError (with ``digest``) when the store lacks an input, or its copy was damaged. A full disk or a
    place that cannot be written to gives an outcome with ``lost``.
    """
    directory = Workplace(place) if kept is None else kept
    log = os.path.join(place, LOGS, f"{os.getpid()}-{next(_count)}")
    scratch = os.path.join(place, SCRATCH)
    try:
        directory.enter(bundle)
        work = directory.work
        os.makedirs(scratch, exist_ok=True)
        _lay_out(bundle, work, scratch, store)
        os.chdir(work)
        inner = replace(
            bundle,
            workspace=work,
            scratch=scratch,
            log=log,
            store=store.directory if isinstance(store, Blobs) else None,
        )
        outcome = _run(inner, directory.temporary, environ, runner)
        outcome.machine = machine()
        _keep(inner, outcome, store)
        return outcome
    except BlobError:
        raise
    except Unfit as error:
        return Outcome(bundle.token, False, str(error), lost=True, unfit=True)
    except (OSError, CacheUnusable) as error:
        return _place_failed(Outcome(bundle.token, False), error, place)
    finally:
        os.chdir(place)
        _remove(directory, log, kept is not None and runner is not None and runner.alone)


def _run(inner: Bundle, temporary: str, environ: Mapping[bytes, bytes], runner: Runner | None) -> Outcome:
    private = {**environ, b"TMPDIR": os.fsencode(temporary)}
    private = inherited_environ.for_steps(private, inner.workspace, {})
    if runner is not None:
        runner.workspace, runner.environ = inner.workspace, private
        return runner.run(inner)
    runner = Runner(inner.workspace, private)
    try:
        return runner.run(inner)
    finally:
        runner.close()


def _lay_out(bundle: Bundle, work: str, scratch: str, store: Store) -> None:
    """Put the inputs and modules where they lie in the workspace, and make the directories above outputs."""
    # All links in it come from the inputs, and all that can be reached is this user's own on this host.
    with Below(work, lambda path, st: True) as below:
        for path in sorted(bundle.contents, key=len):
            _input(bundle, path, below, scratch, store)
        for path, digest in bundle.modules.items():
            target = os.path.join(work, path)
            if not os.path.lexists(target):
                below.make_parents(path)
                store.fetch(digest, target, False, scratch)
        for path, _ in bundle.outputs:
            below.make_parents(path)


def _input(bundle: Bundle, path: str, below: Below, scratch: str, store: Store) -> None:
    work, token = below.root, bundle.contents[path]
    if path.startswith("/"):
        _same_here(path, token)
        return
    target = os.path.join(work, path)
    if os.path.lexists(target):
        return  # It came with a directory around it.
    below.make_parents(path)
    if token.endswith("/"):
        os.mkdir(target)
        made = {""}
        for relative, entry in bundle.trees[path].items():
            directory = relative if entry == EMPTY_DIR else os.path.dirname(relative)
            if directory not in made:
                made.add(directory)
                os.makedirs(os.path.join(target, directory), exist_ok=True)
            if entry != EMPTY_DIR:
                _one(bundle, os.path.join(target, relative), entry, scratch, store)
    else:
        _one(bundle, target, token, scratch, store)


def _one(bundle: Bundle, target: str, token: str, scratch: str, store: Store) -> None:
    if _lend(target, token, bundle, store):
        return
    if token.startswith("@"):
        os.symlink(os.fsdecode(store.read(blob_of(token))), target)
    else:
        store.fetch(blob_of(token), target, token.endswith("x"), scratch)


def _lend(target: str, token: str, bundle: Bundle, store: Store) -> bool:
    """Whether the store's own file could be put at ``target``, where nothing is."""
    digest = blob_of(token)
    if token.startswith("@") or digest not in bundle.lent or not isinstance(store, Blobs):
        return False
    mode = (0o777 if token.endswith("x") else 0o666) & ~_umask()
    try:
        os.link(store.path(digest), target)
        if stat.S_IMODE(os.stat(target).st_mode) != mode:
            os.chmod(target, mode)
    except OSError:
        with suppress(OSError):
            os.unlink(target)
        return False
    bundle.lent.remove(digest)  # Twice in one directory they would not be two files.
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _same_here(path: str, token: str) -> None:
    """An input outside of the workspace has no place in the private directory: it must be here, and the same."""
    from f0make.files.content_cache import Contents

    if Contents("/").token(path) != token:
        raise Unfit(f"its input {path} lies outside of the workspace, and is not the same there as here")


def _keep(inner: Bundle, outcome: Outcome, store: Store) -> None:
    """Put the outputs and the log into the store; signatures mean nothing elsewhere."""
    outcome.signatures = {}
    if outcome.ok and inner.store is None:
        for path, token in outcome.outputs.items():
            keep(inner.workspace, path, token, outcome.trees.get(path), store)
        outcome.stored = True
    if outcome.ok and not outcome.stored:
        message, full = outcome.message, outcome.disk_full
        fail(outcome, message)
        outcome.lost, outcome.disk_full = True, full
    elif not outcome.ok and outcome.disk_full:
        outcome.lost = True
    if os.path.exists(inner.log):
        from f0make.files.content_digest import file_digest

        _shorten(inner.log)
        outcome.log = file_digest(inner.log)
        store.add(inner.log, outcome.log)
    if not outcome.ok and not outcome.lost:
        _keep_left(inner, outcome, store)


def _shorten(log: str) -> None:
    """Leave out the middle of a log that is longer than what travels."""
    size = os.stat(log).st_size
    if size <= LONGEST_LOG:
        return
    half = LONGEST_LOG // 2 - 100
    with open(log, "rb") as file:
        first = file.read(half)
        file.seek(size - half)
        last = file.read(half)
    with open(log, "wb") as file:
        file.write(first + b"\n[f0make: %d bytes are left out here]\n" % (size - 2 * half) + last)


def _keep_left(inner: Bundle, outcome: Outcome, store: Store) -> None:
    """Keep what a failed step left at its outputs, too: f0make puts it aside for its user.

    What cannot be read or kept is left out: it is no result.
    """
    from f0make.files.content_cache import Contents

    contents = Contents(inner.workspace)
    for path, _ in inner.outputs:
        try:
            token = contents.own(path)
            if token is None:
                continue
            tree = contents.own_tree(path) if token.endswith("/") else None
            keep(inner.workspace, path, token, tree, store)
        except (OSError, BlobError, CacheUnusable):
            continue
        outcome.outputs[path] = token
        if tree is not None:
            outcome.trees[path] = tree


def _place_failed(outcome: Outcome, error: Exception, place: str) -> Outcome:
    outcome.lost = outcome.unfit = True
    if isinstance(error, OSError):
        outcome.disk_full = error.errno in NO_ROOM
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else place
        outcome.message = f"{name}: {error.strerror or error}"
    else:
        outcome.message = str(error)
    return outcome


def _remove(directory: Workplace, log: str, alone: bool) -> None:
    try:
        directory.leave(alone)
        os.unlink(log)
    except OSError:
        pass  # The next agent of this place clears it away.

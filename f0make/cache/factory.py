"""From the options to the caches of a run: the blob store, and the records that others share.

The workspace's own cache is what nearly every run has: what shares is imported by a run that shares.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from f0make import STATE
from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import Blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.platform_keys import ForPlatform
    from f0make.options import RunOptions

Note = Callable[[str], None]
Caches = tuple["Blobs | None", "ForPlatform | None"]

OWN = os.path.join(STATE, "cache")
"""The workspace's own cache; with a server it is what lies nearer."""


def open_caches(workspace: str, options: RunOptions, note: Note, create: bool) -> Caches:
    """The blob store and, with `--cache`, the shared records; None for what is not wanted or cannot be used.

    ``create``: for a run; else nothing is changed, neither here nor on a server. Raises UsageError.
    """
    given = options.cache
    if given is not None and "://" in given:
        return _open_server(given, workspace, options, note, create)
    if options.no_cache:
        return None, None
    if given:
        return _open_shared(given, workspace, options, note, create)
    return _open_blobs(os.path.join(workspace, OWN), note, create), None


def _open_blobs(directory: str, note: Note, create: bool) -> Blobs | None:
    """The blobs in ``directory``; None, said once, where that cannot be used."""
    try:
        blobs = Blobs(directory, readonly=not create)
        if create:
            blobs.prepare()
    except CacheUnusable as error:
        note(f"{error}; going on without it")
        return None
    return blobs


def _open_shared(given: str, workspace: str, options: RunOptions, note: Note, create: bool) -> Caches:
    """The directory ``given``, which others use, too. Raises UsageError."""
    from f0make.cache.platform_keys import ForPlatform
    from f0make.cache.readonly_cache import ReadOnlyCache, writable
    from f0make.cache.shared_records import ActionCache
    from f0make.errors import UsageError

    directory = os.path.join(workspace, given)
    there = os.path.isdir(directory)
    if options.cache_readonly and not there:
        raise UsageError(f"--cache {given}: there is no such directory to read")
    if not there or (writable(directory) and not options.cache_readonly):
        blobs = _open_blobs(directory, note, create)
        return blobs, None if blobs is None else ForPlatform(ActionCache(directory), workspace)
    if create and not options.cache_readonly:
        note(f"the cache {directory!r} cannot be written to: it is only read")
    own = _open_blobs(os.path.join(workspace, OWN), note, create)
    if own is None:
        return None, None
    return own, ForPlatform(ReadOnlyCache(directory, own, look_only=not create), workspace)


def _open_server(given: str, workspace: str, options: RunOptions, note: Note, create: bool) -> Caches:
    """The server at the address ``given``; what comes from it lies in the workspace's own cache. Raises UsageError."""
    from f0make.cache.http.server_address import parse_address

    parse_address(given)  # also with --no-cache: what is wrong is said
    blobs = None if options.no_cache else _open_blobs(os.path.join(workspace, OWN), note, create)
    if blobs is None:
        return None, None
    from f0make.cache.credential_variables import held
    from f0make.cache.http.remote_records import open_cache
    from f0make.cache.platform_keys import ForPlatform

    remote = open_cache(given, {**os.environ, **held}, blobs, options.cache_readonly, look_only=not create)
    return blobs, ForPlatform(remote, workspace)

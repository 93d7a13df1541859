"""From the options to the caches of a run: the blob store, and the records that others share."""

from __future__ import annotations

import os
from collections.abc import Callable

from f0make import STATE
from f0make.cache.blobs import Blobs, CacheUnusable
from f0make.cache.platform import ForPlatform
from f0make.cache.readonly import ReadOnlyCache, writable
from f0make.cache.shared import ActionCache
from f0make.errors import UsageError
from f0make.lean import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.options import RunOptions

OWN = os.path.join(STATE, "cache")
"""The workspace's own cache; with a server it is what lies nearer."""


def open_caches(
    workspace: str, options: RunOptions, note: Callable[[str], None], create: bool
) -> tuple[Blobs | None, ForPlatform | None]:
    """The blob store and, with `--cache`, the shared records; None for what is not wanted or cannot be used.

    ``create``: for a run; else nothing is changed, neither here nor on a server. Raises UsageError.
    """
    given = options.cache
    server = given is not None and "://" in given
    if server:
        from f0make.cache.http.address import parse_address

        parse_address(given or "")
    if options.no_cache:
        return None, None
    shared = None if server or not given else os.path.join(workspace, given)
    if shared is not None and options.cache_readonly and not os.path.isdir(shared):
        raise UsageError(f"--cache {given}: there is no such directory to read")
    if shared is not None and os.path.isdir(shared) and (options.cache_readonly or not writable(shared)):
        if create and not options.cache_readonly:
            note(f"the cache {shared!r} cannot be written to: it is only read")
        own, _ = open_caches(workspace, replace(options, cache=None), note, create)
        return own, ForPlatform(
            ReadOnlyCache(shared, own, look_only=not create), workspace
        ) if own is not None else None
    directory = shared or os.path.join(workspace, OWN)
    try:
        blobs = Blobs(directory, readonly=not create)
        if create:
            blobs.prepare()
    except CacheUnusable as error:
        note(f"{error}; going on without it")
        return None, None
    if not server or given is None:
        return blobs, ForPlatform(ActionCache(directory), workspace) if given else None
    from f0make.cache.http.opening import open_cache
    from f0make.cache.private import held

    remote = open_cache(given, {**os.environ, **held}, blobs, options.cache_readonly, look_only=not create)
    return blobs, ForPlatform(remote, workspace)

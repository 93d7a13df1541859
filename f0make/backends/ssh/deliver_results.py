"""What a host has sent, from the store of things in transit to where it belongs."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from itertools import chain

from f0make.backends import escaping_links
from f0make.backends.ssh import fetch_results
from f0make.backends.ssh.staging_store import Transit
from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobMissing, Blobs
from f0make.files.times_and_modes import private_blobs
from f0make.worker import collect
from f0make.worker.agent import outcome_digests
from f0make.worker.bundle import Bundle, Outcome


def bring_home(bundle: Bundle, outcome: Outcome, transit: Transit) -> None:
    """Put outputs into the cache and the workspace, and the log where logs lie.

    Raises BlobError, FileError and OSError.
    """
    often = Counter(outcome_digests.named(outcome))
    try:
        with transit.giving(digest for digest, times in often.items() if times == 1):
            _place(bundle, outcome, transit)
    finally:
        transit.expect_no_more(often.keys())
    if outcome.host and bundle.kind == "python" and "Error: " in outcome.message and not outcome.ok:
        name = outcome.message.partition(":")[0]
        if name in ("ModuleNotFoundError", "ImportError"):
            outcome.message += f" (on {outcome.host}: the module must be installed there)"


def _place(bundle: Bundle, outcome: Outcome, transit: Transit) -> None:
    _keep_log(bundle, outcome, transit)
    blobs: Blobs = transit
    _refuse_links(bundle, outcome, transit)
    digests = list(outcome_digests.wanted(outcome))
    if outcome.ok and bundle.store is not None:
        blobs = Blobs(bundle.store)
        try:
            hidden = private_blobs(outcome.outputs, outcome.trees, outcome.modes)
            _hand_over([digest for digest in digests if not blobs.has(digest)], transit, blobs, hidden)
        except CacheUnusable as error:
            outcome.message, outcome.stored, blobs = str(error), False, transit
    fetch_results.place(bundle, outcome, blobs)


def _refuse_links(bundle: Bundle, outcome: Outcome, transit: Transit) -> None:
    """A link out of the workspace would let the host decide what the next step reads here: that is no result."""
    if not any(
        t.startswith("@") for t in chain(outcome.outputs.values(), *map(dict.values, outcome.trees.values()))
    ):
        return
    stores = [transit, *([Blobs(bundle.store, readonly=True)] if bundle.store is not None else [])]
    found = escaping_links.outside(bundle, outcome, stores)
    if found is not None:
        collect.fail(outcome, found if outcome.ok else f"{outcome.message}; {found}")


def _keep_log(bundle: Bundle, outcome: Outcome, transit: Blobs) -> None:
    """Equal contents travel once: an earlier step may have taken this one on into the cache."""
    stores = [transit, *([Blobs(bundle.store, readonly=True)] if bundle.store is not None else [])]
    for store in stores:
        with suppress(OSError, BlobMissing):
            fetch_results.keep_log(bundle, outcome, store)
            break
    outcome.log = ""


def _hand_over(digests: list[str], transit: Transit, blobs: Blobs, hidden: dict[str, int]) -> None:
    """Move what has arrived into the cache; ``hidden``: digest -> rights of what is not for others.

    Raises BlobMissing, CacheUnusable and OSError.
    """
    if not digests:
        return
    blobs.prepare()
    here = os.stat(blobs.directory).st_dev
    for digest in digests:
        path = transit.path(digest)
        try:
            if os.stat(path).st_dev == here:
                os.chmod(path, blobs.mode & ~transit.mask & (hidden.get(digest, 0o777) | 0o700))
                blobs.adopt(path, digest)
                blobs.verified.add(digest)
            else:
                if digest in hidden:
                    os.chmod(path, hidden[digest] & 0o666 | 0o600)
                blobs.add(path, digest)
                transit.drop(digest)
        except FileNotFoundError:
            raise BlobMissing(digest, f"blob {digest} has not arrived") from None

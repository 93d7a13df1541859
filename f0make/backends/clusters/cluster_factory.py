"""From what the command line says to the backend of a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from f0make import STATE
from f0make.backend_address import Address, parse
from f0make.backends.clusters import library_check

if TYPE_CHECKING:
    from f0make.backends.clusters.cluster_backend import EngineBackend
    from f0make.cache.blobs import Blobs
    from f0make.options import RunOptions

DIRECTORY = os.path.join(STATE, "engine")
"""Where a cluster started for one run keeps its files."""


def check(options: RunOptions) -> None:
    """Raises UsageError for an address that is wrong, or an engine that is not installed."""
    address = _address(options)
    if address is not None:
        library_check.check(address.engine)
        if not address.url:
            library_check.check_guarded(address.engine)


def _address(options: RunOptions) -> Address | None:
    return parse(options.backend, options.dask_ca, options.dask_cert, options.dask_key)


def backend_for(
    options: RunOptions, workspace: str, jobs: int, blobs: Blobs | None, note: Callable[[str], None]
) -> EngineBackend:
    """The backend for ``options.backend``, not started. ``jobs``: workers of a cluster that is started for it."""
    from f0make.backends.clusters.cluster_backend import EngineBackend
    from f0make.backends.clusters.content_exchange import Exchange

    address = _address(options)
    assert address is not None
    if address.exposed:
        note(
            f"--backend {address}: commands and files go to {address.host} as plain text, and whoever reaches it can "
            "run commands there" + (" (dask=tls://… is safe)" if address.engine == "dask" else "")
        )
    directory = os.path.join(workspace, DIRECTORY)
    cluster: Any
    if address.engine == "dask":
        from f0make.backends.clusters.dask_cluster import DaskCluster

        cluster = DaskCluster(address, jobs, directory, workspace)
    else:
        from f0make.backends.clusters.ray_cluster import RayCluster

        cluster = RayCluster(address, jobs)
    most = jobs if options.jobs or not address.url else None
    server, url = None, ""
    if options.cache is not None and "://" in options.cache and not options.cache_readonly:
        from f0make.cache.credential_variables import held
        from f0make.cache.http.http_factory import open_server

        server, url = open_server(options.cache, {**os.environ, **held}), options.cache
    return EngineBackend(cluster, workspace, Exchange(workspace, blobs, server), most, url)

"""The resource trackers that multiprocessing and loky start beside their workers: quiet, and gone at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def _trackers() -> list[Any]:
    from multiprocessing import resource_tracker as standard

    from loky.backend import resource_tracker as lokys

    return [lokys._resource_tracker, standard._resource_tracker]


class Trackers:
    """Remembers which trackers were there before, so that only f0make's own are stopped."""

    def __init__(self) -> None:
        self._own = [tracker for tracker in _trackers() if tracker._fd is None]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Trackers started meanwhile print no warnings: after `kill -9` of f0make they clean up unasked."""
        sys.warnoptions.append("ignore")
        try:
            yield
        finally:
            sys.warnoptions.remove("ignore")

    def stop(self) -> None:
        """End f0make's trackers and wait for them."""
        for tracker in self._own:
            if tracker._fd is not None and tracker._pid is not None:
                tracker._stop()

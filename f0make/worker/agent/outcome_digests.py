"""What an outcome names, by digest. Part of what is sent to workers."""

from __future__ import annotations

from collections.abc import Iterator

from f0make.files.content_digest import EMPTY_DIR, blob_of
from f0make.worker.bundle import Outcome


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

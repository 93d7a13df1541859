"""What f0make tells each of its workers at their start."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass


@dataclass(slots=True)
class Settings:
    """What a worker needs to know once."""

    workspace: str
    """Absolute path."""
    environ: dict[bytes, bytes]
    """What steps inherit."""
    parent: int
    """Process id of f0make."""
    since: int
    """Stamp of the start of the run."""
    kept: tuple[int, ...] = ()
    """Descriptors that steps inherit."""

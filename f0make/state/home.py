"""The directory `.f0make` of a workspace: made on demand, ignored by git."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.errors import StateError

NAME = ".f0make"


def path_of(workspace: str, *names: str) -> str:
    """The path of ``names`` inside the workspace's state directory."""
    return os.path.join(workspace, NAME, *names)


def unusable(workspace: str, error: OSError) -> StateError:
    """The error for a state directory in which ``error`` happened."""
    place = os.path.abspath(path_of(workspace))
    detail = f" ({error.filename})" if error.filename and os.fspath(error.filename) != place else ""
    from f0make.errors import StateError

    return StateError(
        f"{place} cannot be used: {error.strerror or error}{detail}; f0make keeps its state there"
    )


def prepare(workspace: str) -> str:
    """Make `.f0make` and its `.gitignore`; the directory's path. Raises StateError."""
    place = path_of(workspace)
    ignore = os.path.join(place, ".gitignore")
    try:
        os.makedirs(place, exist_ok=True)
        if not os.path.exists(ignore):
            fd = os.open(ignore, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                os.write(fd, b"*\n")
            finally:
                os.close(fd)
    except OSError as error:
        raise unusable(workspace, error) from None
    return place

"""New files that have no name until they are whole: who is killed leaves nothing, and nothing is ever overwritten."""

from __future__ import annotations

import os

_FLAGS = os.O_RDWR | getattr(os, "O_TMPFILE", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


class Nursery:
    """A directory in which such files get their names. Raises OSError, also where the system knows no such files."""

    def __init__(self, directory: str) -> None:
        if not hasattr(os, "O_TMPFILE"):
            raise OSError("no files without names here")
        self.directory = directory
        self._fd = os.open(directory, _DIRECTORY)

    def begin(self, executable: bool) -> int:
        """A descriptor of a new file; what is closed without a name is gone. Raises OSError."""
        return os.open(".", _FLAGS, 0o777 if executable else 0o666, dir_fd=self._fd)

    def name(self, file: int, name: str) -> None:
        """Call ``file`` of `begin` so. Raises FileExistsError when something lies there, OSError."""
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=self._fd)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._fd)

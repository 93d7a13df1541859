"""What expansion asks about the world; everything else it works out from the recipe."""

from __future__ import annotations

from f0make.lean import Protocol


class Facts(Protocol):
    """Files of a workspace and who made them. The real one is `disk.DiskFacts`."""

    workspace: str
    """Absolute path."""
    directories: set[str]
    """Every directory whose entries a glob depends on, also ones that do not exist (as paths are named)."""
    files: set[str]
    """Every file that was read."""

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path`` (a dangling symlink counts)."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Sorted paths that match: files, or directories (without the slash) where it ends in a slash.

        `*`, `?` and `[…]` match inside one segment, a segment `**` any number of them; a leading dot only
        where the pattern has it. Never inside `.f0make`.
        """
        ...

    def read_text(self, path: str) -> str:
        """The text of a UTF-8 file, a byte order mark dropped. Raises OSError and UnicodeDecodeError."""
        ...

    def made_by(self, path: str) -> str | None:
        """The instance that f0make recorded as the maker of ``path``; None for a file of the user's."""
        ...

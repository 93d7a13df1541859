"""What expansion asks about the world; everything else it works out from the recipe."""

from __future__ import annotations

from f0make.fast_dataclass import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.trail import Trail


class Unlistable(Exception):
    """A directory that a glob has to look at cannot be listed; the text says which and why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "check its permissions") -> None:
        super().__init__(message)
        self.hint = hint


class Facts(Protocol):
    """Files of a workspace and who made them. The real one is `disk.DiskFacts`."""

    workspace: str
    """Absolute path."""
    directories: set[str]
    """Every directory whose entries a glob depends on, also ones that do not exist (as paths are named)."""
    files: set[str]
    """Every file that was read."""
    dangling: dict[str, Trail]
    """Links that a glob gave, by the paths it gave, and that lead nowhere."""

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path`` (a dangling symlink counts)."""
        ...

    def leads_to(self, path: str) -> str | None:
        """Where ``path`` ends, or would if that were there, because of links on the way; None where it passes none."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Sorted paths that match: files, or directories (without the slash) where it ends in a slash.

        `*`, `?` and `[…]` match inside one segment, a segment `**` any number of them; a leading dot only
        where the pattern has it. Never inside `.f0make`. A link counts by what it leads to, one that leads nowhere as
        a file; `**` does not follow links to directories. Raises Unlistable.
        """
        ...

    def read_text(self, path: str) -> str:
        """The text of a UTF-8 file, a byte order mark dropped. Raises OSError and UnicodeDecodeError."""
        ...

    def made_by(self, path: str) -> str | None:
        """The instance that f0make recorded as the maker of ``path``; None for a file of the user's."""
        ...

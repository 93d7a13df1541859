"""Facts about the files of a real workspace, as they are when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable

from f0make.expand.globs import literal_of, segment_matcher
from f0make.expand.paths import Paths
from f0make.lean import dataclass
from f0make.recipe.paths import STATE
from f0make.regular_file import TABLE, read_regular


@dataclass(slots=True)
class _Entry:
    name: str
    directory: bool
    file: bool
    link: bool


class DiskFacts:
    """See `facts.Facts`. A directory is listed once in the life of the object: make a new one for new facts."""

    def __init__(self, workspace: str, made_by: Callable[[str], str | None] = lambda path: None) -> None:
        self.workspace = os.path.abspath(workspace)
        self.directories: set[str] = set()
        self.files: set[str] = set()
        self._made_by = made_by
        self._paths = Paths(self.workspace, ())
        self._listed: dict[str, list[_Entry]] = {}

    def made_by(self, path: str) -> str | None:
        """What the function given to the constructor says."""
        return self._made_by(path)

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path``, be it a dangling symlink."""
        return os.path.lexists(self._real(path))

    def read_text(self, path: str) -> str:
        """The text of a UTF-8 file without its byte order mark. Raises OSError and UnicodeDecodeError."""
        self.files.add(self._paths.relative(path))
        return read_regular(self._real(path), TABLE).decode("utf-8-sig")

    def glob(self, pattern: str) -> list[str]:
        """Sorted paths that match, see `facts.Facts.glob`. Directories that cannot be read hold nothing."""
        wanted_directories = pattern.endswith("/")
        segments = [s for s in pattern.split("/") if s not in ("", ".")]
        base = "/" if pattern.startswith("/") else ""
        found: set[str] = set()
        self._walk(base, segments, wanted_directories, found)
        return sorted({self._paths.relative(path) for path in found})

    def _walk(self, base: str, segments: list[str], directories: bool, found: set[str]) -> None:
        while segments:
            literal = literal_of(segments[0])
            if literal is None:
                break
            if literal == STATE:
                return
            base, segments = base + literal + ("/" if len(segments) > 1 else ""), segments[1:]
        if not segments:
            self.directories.add(self._name(os.path.dirname(base)))
            test = os.path.isdir if directories else os.path.isfile
            if test(self._real(base)):
                found.add(base)
            return
        first, rest = segments[0], segments[1:]
        if first == "**":
            self._walk_below(base, rest, directories, found)
            return
        matches = segment_matcher(first).fullmatch
        for entry in self._list(base):
            if not matches(entry.name):
                continue
            if rest:
                if entry.directory:
                    self._walk(base + entry.name + "/", rest, directories, found)
            elif entry.directory if directories else entry.file:
                found.add(base + entry.name)

    def _walk_below(self, base: str, rest: list[str], directories: bool, found: set[str]) -> None:
        """`**`: ``rest`` in ``base`` and in every directory below it; symlinks are not followed."""
        rest = rest or ["*"]
        left = [base]
        while left:
            here = left.pop()
            self._walk(here, rest, directories, found)
            left += [
                here + entry.name + "/"
                for entry in self._list(here)
                if entry.directory and not entry.link and not entry.name.startswith(".")
            ]

    def _list(self, base: str) -> list[_Entry]:
        known = self._listed.get(base)
        if known is not None:
            return known
        self.directories.add(self._name(base))
        entries: list[_Entry] = []
        try:
            with os.scandir(self._real(base)) as scan:
                for entry in scan:
                    if entry.name != STATE:
                        entries.append(
                            _Entry(entry.name, entry.is_dir(), entry.is_file(), entry.is_symlink())
                        )
        except OSError:
            entries = []
        self._listed[base] = entries
        return entries

    def _name(self, base: str) -> str:
        return self._paths.relative(base or ".")

    def _real(self, path: str) -> str:
        return os.path.join(self.workspace, path)

"""Facts about the files of a real workspace, as they are when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable

from f0make import STATE
from f0make.allowance import scaled
from f0make.expand.declared_paths import Paths
from f0make.expand.expansion_facts import Unlistable
from f0make.expand.globs import literal_of, segment_matcher
from f0make.fast_dataclass import dataclass
from f0make.regular_file import TABLE, read_regular
from f0make.trail import NOT_THERE, Trail, follow, kinds

MAX_AGAIN = 2_000
"""Directories that may be listed under a second name: a link to a directory above gives any number of names."""


@dataclass(slots=True)
class _Entry:
    name: str
    directory: bool
    file: bool
    link: bool

    @property
    def dangling(self) -> bool:
        """Whether it is a link that leads nowhere (or to what is neither file nor directory)."""
        return self.link and not self.directory and not self.file


class DiskFacts:
    """See `facts.Facts`. A directory is listed once in the life of the object: make a new one for new facts."""

    def __init__(self, workspace: str, made_by: Callable[[str], str | None] = lambda path: None) -> None:
        self.workspace = os.path.abspath(workspace)
        self.directories: set[str] = set()
        self.files: set[str] = set()
        self.links: set[str] = set()
        """Links that listings passed, above the directories and among the entries that match."""
        self.ends: set[str] = set()
        """Where links among these entries lead."""
        self.absent: set[str] = set()
        """What was looked for and was not there."""
        self.dangling: dict[str, Trail] = {}
        self._made_by = made_by
        self._paths = Paths(self.workspace, ())
        self._listed: dict[str, list[_Entry]] = {}
        self._ends_listed: set[str] = set()
        """What was listed, by what it leads to."""
        self._plain: dict[str, bool] = {}
        """Directory -> nothing on the way to it is a link."""
        self._again = 0
        """Directories that had been listed before under another name."""
        self._been: set[tuple[str, int, str]] = set()
        """Where the glob at hand has been: with how many segments left and the first of them, or `below/` for everywhere below."""

    def made_by(self, path: str) -> str | None:
        """What the function given to the constructor says."""
        return self._made_by(path)

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path``, be it a dangling symlink."""
        return os.path.lexists(self._real(path))

    def leads_to(self, path: str) -> str | None:
        """See `facts.Facts.leads_to`; None too where that cannot be found out."""
        directory = path.rpartition("/")[0]
        try:
            if directory not in self._plain:
                self._plain[directory] = not directory or not self._follow(directory).links
            if self._plain[directory] and not os.path.islink(self._real(path)):
                return None
            trail = self._follow(path)
        except Unlistable:
            return None
        return trail.end or trail.target

    def read_text(self, path: str) -> str:
        """The text of a UTF-8 file without its byte order mark. Raises OSError and UnicodeDecodeError."""
        self.files.add(self._paths.relative(path))
        return read_regular(self._real(path), scaled(TABLE)).decode("utf-8-sig")

    def glob(self, pattern: str) -> list[str]:
        """Sorted paths that match, see `facts.Facts.glob`. Raises Unlistable."""
        wanted_directories = pattern.endswith("/")
        segments = [s for s in pattern.split("/") if s not in ("", ".")]
        base = "/" if pattern.startswith("/") else ""
        found: set[str] = set()
        self._been.clear()
        self._walk(base, segments, wanted_directories, found)
        return sorted({self._paths.relative(path) for path in found})

    def _walk(self, base: str, segments: list[str], directories: bool, found: set[str]) -> None:
        last = ""
        while segments:
            literal = literal_of(segments[0])
            if literal is None:
                break
            if literal == STATE:
                return
            if len(segments) == 1:
                last = literal
            else:
                base += literal + "/"
            segments = segments[1:]
        if not segments:
            self._one(base, last, directories, found)
            return
        first, rest = segments[0], segments[1:]
        if (base, len(segments), first) in self._been:
            return
        self._been.add((base, len(segments), first))
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
                elif entry.dangling:
                    self._follow(base + entry.name)
            else:
                self._take(base, entry, directories, found)

    def _one(self, base: str, name: str, directories: bool, found: set[str]) -> None:
        """The entry ``name`` of ``base``, or ``base`` itself, where that is all that is asked for."""
        trail = self._follow(base)
        if trail.end is None:
            return
        self.directories.add(trail.end)
        full = self._real(base + name)
        link = os.path.islink(full)
        entry = _Entry(name, os.path.isdir(full), os.path.isfile(full), link)
        if link or entry.directory or entry.file:
            self._take(base, entry, directories, found)

    def _take(self, base: str, entry: _Entry, directories: bool, found: set[str]) -> None:
        """An entry that matches: it counts by what it leads to, and also when a link leads nowhere (yet)."""
        if entry.link:
            trail = self._follow(base + entry.name)
            if trail.end is not None:
                self.ends.add(trail.end)
            elif entry.dangling and not directories:
                self.dangling[self._paths.relative(base + entry.name)] = trail
        dangling = entry.dangling and not directories
        if dangling or (entry.directory if directories else entry.file):
            found.add(base + entry.name)

    def _walk_below(self, base: str, rest: list[str], directories: bool, found: set[str]) -> None:
        """`**`: ``rest`` in ``base`` and in every directory below it; symlinks are not followed."""
        rest = rest or ["*"]
        left = [base]
        while left:
            here = left.pop()
            if (here, len(rest), f"below/{rest[0]}") in self._been:
                continue  # and so was all that is below
            self._been.add((here, len(rest), f"below/{rest[0]}"))
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
        entries: list[_Entry] = []
        trail = self._follow(base)
        if trail.end is not None:
            if trail.end in self._ends_listed:
                self._again += 1
                if self._again > MAX_AGAIN:
                    raise Unlistable(
                        f"{base!r} and others: links lead into the same directories again and again",
                        "write the glob so that it does not go through these links, or remove one of them",
                    )
            self._ends_listed.add(trail.end)
            self.directories.add(trail.end)
            try:
                with os.scandir(self._real(base)) as scan:
                    for entry in scan:
                        if entry.name != STATE:
                            entries.append(_Entry(entry.name, *kinds(entry)))
            except OSError as error:
                if error.errno not in NOT_THERE:
                    raise self._unlistable(base, error) from None
                entries = []
        self._listed[base] = entries
        return entries

    def _follow(self, path: str) -> Trail:
        """What ``path`` goes through, noted as something that the answer rests on."""
        try:
            trail = follow(self.workspace, path or ".")
        except OSError as error:
            raise self._unlistable(path, error) from None
        self.links.update(trail.links)
        if trail.missing is not None:
            self.absent.add(trail.missing)
        return trail

    def _unlistable(self, base: str, error: OSError) -> Unlistable:
        name = self._paths.relative(base or ".")
        return Unlistable(f"the directory {name!r} cannot be listed: {error.strerror or error}")

    def _real(self, path: str) -> str:
        return os.path.join(self.workspace, path)

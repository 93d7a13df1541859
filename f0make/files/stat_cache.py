"""The stat cache: what lies at each path itself, read again only where a signature does not vouch for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

from f0make import trail
from f0make.files import content_digest, sealed_files, signature
from f0make.files.atomic_write import write_atomic
from f0make.files.signature import Signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


Row: TypeAlias = "tuple[Signature | None, str | None, bool]"
"""(signature, token, racy); no signature: the path does not exist. A directory's row has no token."""

MAGIC = b"f0make signatures 2\n"
ABSENT: Row = (None, None, False)


class StatCache:
    """Rows of paths below ``root``. For one thread; paths are relative to ``root`` or absolute.

    ``known`` are rows from an earlier run. With ``rehash`` no earlier signature is trusted: everything is
    read once in this run.
    """

    def __init__(self, root: str, known: dict[str, Row] | None = None, rehash: bool = False) -> None:
        self.root = os.path.abspath(root)
        self._rehash = rehash
        self.hashed_files = 0
        self.hashed_bytes = 0
        self._prefix = self.root.rstrip("/") + "/"
        self._rows: dict[str, Row] = {} if rehash or known is None else dict(known)
        self._asked: dict[str, Row] = {}
        self._below: dict[str, list[str]] = {}
        """Directory -> everything in it that was visited when it was listed."""
        self._names: dict[str, list[str]] = {}
        """Directory with a racy row -> the names in it."""
        self._dirty = False
        self.wavering: set[str] = set()
        """Paths that had two contents in this run without a `forget` between: what rests on either is not sure."""
        self.older: Callable[[str], Row | None] | None = None
        """Where a row of an earlier run is looked up that was not loaded."""
        self.before_large: Callable[[str], None] | None = None
        """Called once, with its path, before the first large file is read: see `files.prehash`."""

    def own(self, path: str) -> str | None:
        """The token of what lies at ``path`` itself, as an output: a link, and each in a directory, is its text.

        None when nothing is there. Raises FileError.
        """
        full = path if path[:1] == "/" else self._prefix + path
        try:
            st = os.lstat(full)
        except (OSError, ValueError) as error:
            self._absent(path, error)
            return None
        if stat.S_ISREG(st.st_mode):
            return self._file(path, full, st)
        if stat.S_ISDIR(st.st_mode):
            return content_digest.tree_token(self.own_tree(path))
        if stat.S_ISLNK(st.st_mode):
            return self._relink(path)
        raise content_digest.kind_error(path, st.st_mode)

    def own_tree(self, path: str) -> dict[str, str]:
        """Relative path -> token of everything in the directory ``path``; links are their texts. Raises FileError."""
        return self._listing(path, path, content_digest.link_entry)

    def full(self, path: str) -> str:
        """Where ``path`` is for the system."""
        return path if path[:1] == "/" else self._prefix + path

    def signature(self, path: str) -> Signature | None:
        """The signature of ``path`` now (a symlink's own), None when nothing is there."""
        try:
            return signature.of(os.lstat(path if path[:1] == "/" else self._prefix + path))
        except (OSError, ValueError):
            return None

    def knows(self, path: str) -> bool:
        """Whether the token of the regular file ``path`` can be told without reading it."""
        row = self._rows.get(path) or (self.older(path) if self.older is not None else None)
        return row is not None and not row[2] and row[0] == self.signature(path)

    def only_linked(self, path: str, before: Signature | None) -> bool:
        """Whether nothing has become of the file ``path`` since ``before`` but that it got another name.

        A step may make hard links of its inputs (`ln`, `cp -l`), which moves their change time.
        """
        try:
            st = os.lstat(self.full(path))
        except (OSError, ValueError):
            return False
        if before is None or not stat.S_ISREG(st.st_mode) or st.st_nlink < 2:
            return False
        now, row = signature.of(st), self._asked.get(path)
        if (now[0], now[1], now[3], now[4]) != (before[0], before[1], before[3], before[4]) or row is None:
            return False
        return self.own(path) == row[1]

    def learn(self, path: str, sig: tuple[int, ...], token: str, clock_ns: int = 0) -> None:
        """Take over a regular file's ``token``, hashed elsewhere when its signature was ``sig``.

        ``clock_ns`` is `signature.clock_ns()` from before the hashing; 0 means unknown: the file is read
        again when it is next asked for.
        """
        five: Signature = (sig[0], sig[1], sig[2], sig[3], sig[4])
        self._put(path, (five, token, signature.is_racy(five, clock_ns)))

    def forget(self, path: str) -> None:
        """Drop what this run knows about ``path``, and about everything in it when it was listed."""
        for known in (path, *self._below.pop(path, ())):
            self._asked.pop(known, None)
            if self._rows.pop(known, None) is not None:
                self._dirty = True

    @property
    def rehash(self) -> bool:
        """True: no signature from an earlier run is trusted; every path is read once in this run."""
        return self._rehash

    @rehash.setter
    def rehash(self, value: bool) -> None:
        self._rehash = value
        if value:
            self._rows = {path: self._rows[path] for path in self._asked if path in self._rows}

    def rows(self) -> dict[str, Row]:
        """What was asked for, visited or learned in this run: path -> row.

        Holds every file, each directory that was listed (no token), each symlink and what it leads to, and
        paths found absent (no signature). A row that is not racy holds as long as `lstat` says the same.
        """
        return dict(self._asked)

    @property
    def asked(self) -> Mapping[str, Row]:
        """The same as `rows`, not to be changed."""
        return self._asked

    def listed(self, path: str) -> Row | None:
        """A row for the directory ``path``, whose listing follows at once; None when it is not there."""
        clock = signature.clock_ns()
        seen = self.signature(path)
        return None if seen is None else (seen, None, signature.is_racy(seen, clock))

    def load(self, file: str) -> bool:
        """Read rows saved by `save`; False when there are none that can be used."""
        data = None if self._rehash else sealed_files.read(file)
        rows = sealed_files.unseal(MAGIC, data) if data else None
        if not isinstance(rows, dict):
            return False
        rows.update(self._rows)
        self._rows = rows
        return True

    def save(self, file: str) -> None:
        """Write all rows, when there is anything new. Raises OSError."""
        if not self._dirty or not sealed_files.possible():
            return
        if len(self._rows) > 2 * len(self._asked) + 10_000:
            self._rows = {p: r for p, r in self._rows.items() if p in self._asked or self.signature(p)}
        write_atomic(file, sealed_files.seal(MAGIC, self._rows))
        self._dirty = False

    def _file(self, path: str, full: str, st: os.stat_result) -> str | None:
        row = self._rows.get(path)
        if row is None and self.older is not None:
            row = self.older(path)
        if row is not None and not row[2]:
            sig = (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode)
            if row[0] == sig:
                self._asked[path] = row
                return row[1]
        if st.st_size >= content_digest.LARGE and self.before_large is not None:
            hook, self.before_large = self.before_large, None
            hook(path)
            if self.knows(path):
                self._asked[path] = self._rows[path]
                return self._rows[path][1]
        try:
            fresh, token, clock, _ = content_digest.read_stable(full, st)
        except OSError as error:
            self._absent(path, error)
            return None
        self.hashed_files += 1
        self.hashed_bytes += fresh[0]
        before = self._asked.get(path)
        if before is not None and before[1] not in (None, token):
            self.wavering.add(path)
        self._put(path, (fresh, token, signature.is_racy(fresh, clock)))
        return token

    def _listing(self, path: str, real: str, link: content_digest.OnLink) -> dict[str, str]:
        """The entries of the directory ``real``, noted as what lies below ``path``; ``link`` says what links are."""
        full = self.root if real == "." else real if real[:1] == "/" else self._prefix + real
        cut = 0 if real[:1] == "/" else len(self._prefix)
        below = self._below[path] = []

        def hash_file(found: str, st: os.stat_result) -> str | None:
            below.append(found[cut:])
            return self._file(found[cut:], found, st)

        def visit(found: str, names: list[str]) -> None:
            names.sort()
            below.append(found[cut:] or ".")
            self._directory(found[cut:] or ".", found, names, clock)

        clock = signature.clock_ns()
        try:
            return content_digest.tree_entries(full, hash_file, visit, link)
        except content_digest.FileError:
            raise
        except OSError as error:
            self._absent(real, error)
            return {}

    def _relink(self, path: str) -> str | None:
        """Read a symlink's text and note its row; None when it is none any more."""
        full = path if path[:1] == "/" else self._prefix + path
        clock = signature.clock_ns()
        try:
            sig = signature.of(os.lstat(full))
            token = content_digest.link_token(full)
        except OSError:
            return None
        before = self._asked.get(path)
        if before is not None and before[1] not in (None, token):
            self.wavering.add(path)
        self._asked[path] = (sig, token, signature.is_racy(sig, clock))
        return token

    def _directory(self, path: str, full: str, names: list[str], clock: int) -> None:
        """Note that ``full`` was listed. A directory stat after its listing is racy unless its ctime was past."""
        try:
            sig = signature.of(os.lstat(full))
        except OSError:
            return
        racy = signature.is_racy(sig, clock)
        self._asked[path] = (sig, None, racy)
        if racy:
            self._names[path] = names

    def _relist(self, path: str) -> bool:
        """List a racy directory again; whether it still holds the same names."""
        full = path if path[:1] == "/" else self._prefix + path
        clock = signature.clock_ns()
        try:
            names = sorted(os.listdir(full))
        except OSError:
            return False
        before = self._names.get(path)
        self._directory(path, full, names, clock)
        return before is None or names == before

    def _put(self, path: str, row: Row) -> None:
        self._rows[path] = row
        self._asked[path] = row
        self._dirty = True

    def _absent(self, path: str, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno not in trail.NOT_THERE:
            raise content_digest.read_error(path, error) from None
        if self._rows.pop(path, None) is not None:
            self._dirty = True
        self._asked[path] = ABSENT

"""Tokens of paths as inputs: what lies there, and where links are followed, what they lead to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

from f0make import trail
from f0make.files import content_digest, signature
from f0make.files.signature import Signature
from f0make.files.stat_cache import ABSENT, Row, StatCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


Seen: TypeAlias = "tuple[str, Signature | None]"
"""A name and its signature, None where nothing was."""

SETTLE_BYTES = 256 << 20
"""Default budget of `settle`: about a quarter of a second of hashing."""
MOST_THROUGH_LINKS = 1_000_000
"""Entries of one input directory that may be reached through links leading out of it."""
_MODULES = (".py", ".pyc", ".so", ".pyd")
"""How files are named that hold modules."""


class Contents(StatCache):
    """A stat cache that also tells the tokens of inputs, and what each of them rests on."""

    def __init__(self, root: str, known: dict[str, Row] | None = None, rehash: bool = False) -> None:
        super().__init__(root, known, rehash)
        self._via: dict[str, dict[str, None]] = {}
        self._trees: dict[str, str] = {}
        """Directory that was an input -> its token."""

    def token(self, path: str) -> str | None:
        """The content of ``path`` as an input, None when nothing is there. Raises FileError.

        A link counts by what it leads to; one that leads nowhere is nothing. `via` says what that rests on. With a
        slash at its end it is a directory of which only the names of the modules in it count.
        """
        if path[-1:] == "/":
            return self._modules(path[:-1])
        full = path if path[:1] == "/" else self._prefix + path
        try:
            st = os.lstat(full)
        except (OSError, ValueError) as error:
            self._absent(path, error)
            return None
        if stat.S_ISREG(st.st_mode):
            return self._file(path, full, st)
        if stat.S_ISDIR(st.st_mode):
            token = content_digest.tree_token(self.tree(path))
            if self._trees.setdefault(path, token) != token:
                self.wavering.add(path)
            return token
        if stat.S_ISLNK(st.st_mode):
            self._via[path] = {}
            end = self._follow(path, path).end
            return None if end is None else self._end(path, end)
        raise content_digest.kind_error(path, st.st_mode)

    def tree(self, path: str) -> dict[str, str]:
        """Relative path -> token of everything in the directory ``path`` as an input (a link to one is followed).

        Links that stay inside count as their text, those that lead out as what they lead to: a file's token, or the
        entries of the directory there. A link to nothing, or to a directory that it lies in, is its text.
        Empty when there is no directory. Raises FileError.
        """
        via = self._via[path] = {}
        real = path
        if os.path.islink(path if path[:1] == "/" else self._prefix + path):
            end = self._follow(path, path).end
            if end is None:
                return {}
            real = end
        left = [MOST_THROUGH_LINKS]
        full = self.root if real == "." else real if real[:1] == "/" else self._prefix + real
        top = os.path.realpath(full)
        found = self._entries(path, real, top, (top,), left)
        if not via:
            del self._via[path]
        return found

    def via(self, path: str) -> Iterable[str]:
        """What the token of ``path`` rests on beyond itself and what lies in it: links passed, and where they lead."""
        return self._via.get(path, ())

    def seen(self, path: str) -> Sequence[Seen]:
        """The signatures with which everything was found that the token of ``path``, asked for before, rests on."""
        below, via = self._below.get(path), self._via.get(path)
        if below is None and via is None:
            row = self._asked.get(path)
            return ((path, row[0] if row is not None else None),)
        names = dict.fromkeys((path, *(below or ())))
        for name in via or ():
            names[name] = None
            names.update(dict.fromkeys(self._below.get(name, ())))
        return [(name, row[0]) for name in names if (row := self._asked.get(name)) is not None]

    def forget(self, path: str) -> None:
        """Drop what this run knows about ``path``, and about everything in it when its tree was asked for."""
        self._via.pop(path, None)
        self._trees.pop(path, None)
        super().forget(path)

    def settle(self, budget: int = SETTLE_BYTES) -> list[str]:
        """Check racy rows of this run again, now that the clock has moved on, so that they become trusted.

        Reads at most ``budget`` bytes, smallest files first; waits for one clock tick, never for a
        whole-second stamp. Returns the paths whose content is no longer what was returned before.
        """
        racy = [(row[0][0], path, row) for path, row in self._asked.items() if row[2] and row[0] is not None]
        racy.sort(key=lambda item: item[:2])
        changed: list[str] = []
        for size, path, old in racy:
            sig = old[0]
            assert sig is not None
            regular = stat.S_ISREG(sig[4])
            if (regular and size > budget) or not signature.wait_for_tick(sig[2]):
                continue
            if regular:
                budget -= size
                same = self.token(path) == old[1]
            elif stat.S_ISLNK(sig[4]):
                same = self._relink(path) == old[1]
            else:
                same = self._relist(path)
            if not same:
                changed.append(path)
        return changed

    def _entries(
        self, path: str, real: str, top: str, around: tuple[str, ...], left: list[int]
    ) -> dict[str, str]:
        """The entries of the directory ``real`` as part of the input ``path``.

        ``top`` is where it really lies, ``around`` that of every directory in which links are followed at the moment,
        ``left`` how many entries may still come through links.
        """

        def on_link(full: str, relative: str) -> str | dict[str, str]:
            text = os.readlink(full)
            own = "@" + content_digest.link_digest(text)
            if trail.stays(top, relative, text):
                return own
            name = full if real[:1] == "/" else full[len(self._prefix) :]
            passed = self._follow(path, name)
            end = passed.end
            if end is None:
                return own
            target = end if end[:1] == "/" else self._prefix + end
            try:
                st = os.lstat(target)
            except OSError:
                return own
            there = os.path.realpath(target)
            # `../dir/x` in `dir`: out by its text and back in, wherever `dir` lies. Not so in what stands for a link.
            around_again = len(around) == 1 and real == path and text[:1] != "/" and len(passed.links) == 1
            if around_again and there.startswith(top.rstrip("/") + "/"):
                return own
            if stat.S_ISREG(st.st_mode):
                return self._file(end, target, st) or own
            if not stat.S_ISDIR(st.st_mode) or any(
                one == there or one.startswith(there.rstrip("/") + "/") for one in around
            ):
                return own
            found = self._entries(path, end, there, (*around, there), left)
            left[0] -= len(found)
            if left[0] < 0:
                raise content_digest.FileError(
                    f"the input {path!r} holds more than {MOST_THROUGH_LINKS:,} entries behind links that lead out of it"
                )
            return found

        return self._listing(path if real == path else real, real, on_link)

    def _follow(self, path: str, name: str) -> trail.Trail:
        """Where the link ``name`` leads; what it went through is noted as `via` of ``path``."""
        try:
            found = trail.follow(self.root, name)
        except OSError as error:
            raise content_digest.read_error(name, error) from None
        for link in (name, *found.links):
            self._relink(link)
        via = self._via.setdefault(path, {})
        via.update(dict.fromkeys(found.names()))
        if name != path:
            via[name] = None
        if found.missing is not None:
            self._asked[found.missing] = ABSENT
        return found

    def _end(self, path: str, end: str) -> str | None:
        """The content of ``end``, to which the link ``path`` leads."""
        full = end if end[:1] == "/" else self._prefix + end
        try:
            st = os.lstat(full)
        except (OSError, ValueError) as error:
            self._absent(end, error)
            return None
        if stat.S_ISREG(st.st_mode):
            return self._file(end, full, st)
        if stat.S_ISDIR(st.st_mode):
            return content_digest.tree_token(self.tree(path))
        raise content_digest.kind_error(path, st.st_mode)

    def _modules(self, path: str) -> str | None:
        """The token of what can be imported from the directory ``path``: the names alone, as `pkgutil` lists them."""
        via = self._via[path + "/"] = {path: None}
        names = self._names_in(path)
        if names is None:
            return None
        found = {name: "" for name in names if name.endswith(_MODULES)}
        for name in names:
            inside = name if path == "." else f"{path}/{name}"
            if "." in name or name == "__pycache__" or not os.path.isdir(self.full(inside)):
                continue
            via[inside] = None
            if any(one.startswith("__init__.") for one in self._names_in(inside) or ()):
                found[name] = ""
        return content_digest.tree_token(found)

    def _names_in(self, path: str) -> list[str] | None:
        """What lies in the directory ``path``, sorted; it is noted that it was listed."""
        full, clock = self.full(path), signature.clock_ns()
        try:
            names = sorted(os.listdir(full))
        except OSError as error:
            self._absent(path, error)
            return None
        self._directory(path, full, names, clock)
        return names

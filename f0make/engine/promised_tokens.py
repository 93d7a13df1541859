"""What a path holds, for deciding: its token on disk, or the one that a record promises for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.content_cache import Contents


STRANGE = "?"
"""Stands for what lies at an output and is no file, directory or link, or cannot be read: nothing that f0make made."""


class Tokens:
    """Tokens of paths, with promises for outputs that are recorded but not on disk.

    A temp output that is gone, and in a dry run everything that would be restored, is *promised*; an output
    of an instance that a dry run expects to run is *unknown*.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.through: Mapping[str, Sequence[str]] = {}
        """Other names of inputs (see `Graph`)."""
        self.link_text: Callable[[str], str | None] = lambda digest: None
        """The text of a link by its digest, None where that is not known."""
        self.promised: dict[str, str] = {}
        self.unknown: set[str] = set()
        self._unknown_directories: set[str] = set()
        self._around_unknown: set[str] = set()
        """Directories that something unknown lies in."""

    def of(self, path: str) -> str | None:
        """The token of ``path`` as an input, None when there is nothing."""
        if self.promised:
            for name in (*reversed(self.through.get(path, ())), path):
                token = self.promised.get(name)
                if token is not None and (name == path or not self._only_in(path, token)):
                    return token if token[:1] != "@" else self._at_the_end(name, token)
        return self.contents.token(path)

    def _only_in(self, path: str, token: str) -> bool:
        """Whether what has the promised ``token`` is reached by a link in the directory ``path``, not by ``path`` itself."""
        return token[-1:] != "/" and os.path.isdir(self.contents.full(path))

    def _at_the_end(self, link: str, token: str) -> str | None:
        """The token of what the promised ``link`` with ``token`` will lead to."""
        text = self.link_text(token[1:65])
        if text is None:
            return None
        end = text if text[:1] == "/" else os.path.normpath(os.path.join(os.path.dirname(link), text))
        return None if end == link else self.of(end)

    def on_disk(self, path: str) -> str | None:
        """The token of what is on disk now at an output, whatever is promised; `STRANGE` for what cannot have one."""
        try:
            return self.contents.own(path)
        except OSError:
            return STRANGE

    def promise(
        self, output: Output, record: Mapping[str, dict[str, str]], trees: Mapping[str, dict[str, str]]
    ) -> None:
        """``output`` counts as having what the record says."""
        self.promised[output.path] = record["outputs"][output.path]
        for relative, token in trees.get(output.path, {}).items():
            self.promised[f"{output.path}/{relative}"] = token

    def keep(self, path: str) -> None:
        """``path`` is on disk now: its promise and those inside it are void."""
        if self.promised.pop(path, None) is not None:
            for inside in [p for p in self.promised if p.startswith(path + "/")]:
                del self.promised[inside]

    def doubt(self, output: Output) -> None:
        """``output`` will be made again: nobody knows what it will hold."""
        self.unknown.add(output.path)
        if output.directory:
            self._unknown_directories.add(output.path)
        above = output.path
        while (above := above.rpartition("/")[0]) and above not in self._around_unknown:
            self._around_unknown.add(above)

    def doubtful(self, path: str) -> bool:
        """Whether ``path``, what lies in it, or a directory around it, will be made again, by whatever name links give it."""
        names = (path, *self.through.get(path, ()))
        if not self.unknown.isdisjoint(names) or not self._around_unknown.isdisjoint(names):
            return True
        return any(name.startswith(d + "/") for d in self._unknown_directories for name in names)

"""What a path holds, for deciding: its token on disk, or the one that a record promises for it."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.contents import Contents


STRANGE = "?"
"""Stands for what lies at an output and is no file, directory or link, or cannot be read: nothing that f0make made."""


class Tokens:
    """Tokens of paths, with promises for outputs that are recorded but not on disk.

    A temp output that is gone, and in a dry run everything that would be restored, is *promised*; an output
    of an instance that a dry run expects to run is *unknown*.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.promised: dict[str, str] = {}
        self.unknown: set[str] = set()
        self._unknown_directories: set[str] = set()

    def of(self, path: str) -> str | None:
        """The token of ``path``, None when there is nothing."""
        token = self.promised.get(path)
        return self.contents.token(path) if token is None else token

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

    def doubtful(self, path: str) -> bool:
        """Whether ``path``, or a directory around it, will be made again."""
        if path in self.unknown:
            return True
        return any(path.startswith(d + "/") for d in self._unknown_directories)

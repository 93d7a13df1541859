"""Which step makes which path, as far as instances are known; kept up while the graph is worked out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from f0make.expand.globs import Glob
from f0make.model import Instance


class Made:
    """Outputs of all current instances by step."""

    def __init__(self) -> None:
        self.version = 0
        """Goes up whenever anything changes."""
        self._by_step: dict[str, dict[str, bool]] = {}
        self._owners: dict[str, str] = {}
        self._directories: set[str] = set()
        self._stale = False
        self._sorted: list[str] | None = None

    def replace(self, step: str, instances: Iterable[Instance]) -> None:
        """The outputs of ``step`` are those of ``instances`` and no others."""
        new = {o.path: o.directory for i in instances for o in i.outputs}
        old = self._by_step.get(step, {})
        if new == old:
            return
        self._by_step[step] = new
        self.version += 1
        self._sorted = None
        if old:
            self._stale = True
        elif not self._stale:
            self._take(step, new)

    def _take(self, step: str, outputs: dict[str, bool]) -> None:
        for path, directory in outputs.items():
            self._owners.setdefault(path, step)
            if directory:
                self._directories.add(path)

    def _refresh(self) -> None:
        self._owners.clear()
        self._directories.clear()
        self._stale = False
        for step, outputs in self._by_step.items():
            self._take(step, outputs)

    def declares(self, path: str) -> bool:
        """Whether ``path`` itself is a declared output."""
        return (
            any(path in outputs for outputs in self._by_step.values())
            if self._stale
            else path in self._owners
        )

    def directories(self) -> list[str]:
        """Output directories of all steps."""
        if self._stale:
            self._refresh()
        return sorted(self._directories)

    def owner(self, path: str) -> str | None:
        """The step that makes ``path``, itself or inside an output directory."""
        if self._stale:
            self._refresh()
        found = self._owners.get(path)
        if found is not None or not self._directories:
            return found
        cut = path.rfind("/")
        while cut > 0:
            parent = path[:cut]
            if parent in self._directories:
                return self._owners[parent]
            cut = path.rfind("/", 0, cut)
        return None

    def matching(self, glob: Glob) -> list[str]:
        """Declared outputs that ``glob`` matches: files, or directories where it asks for those."""
        if self._stale:
            self._refresh()
        if self._sorted is None:
            self._sorted = sorted(self._owners)
        start = bisect_left(self._sorted, glob.prefix)
        out = []
        for path in self._sorted[start:] if start else self._sorted:
            if not path.startswith(glob.prefix):
                break
            if (path in self._directories) == glob.directories and glob.matches(path):
                out.append(path)
        return out

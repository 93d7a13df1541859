"""What the contract tests share: what really ran, what lies on disk, which processes are left."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.f0 import F0

TRACE = 'echo ${{ step.instance }} >> "$TRACE"'
"""A line of shell by which a step says that it was executed."""


class Traced(F0):
    """The command line, and a file outside of the workspace that steps write their names to.

    Where it lies is told by the variable TRACE, which no recipe declares: it is in no key.
    """

    @property
    def trace(self) -> Path:
        """The file that steps append a line to."""
        return self.workspace.parent / "trace"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """As for every test, with TRACE."""
        return super().environment({"TRACE": str(self.trace), **(more or {})})

    def executed(self) -> list[str]:
        """What was executed since this was last asked, sorted."""
        if not self.trace.exists():
            return []
        lines = self.trace.read_text().splitlines()
        self.trace.unlink()
        return sorted(lines)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file; it must be there."""
        text = self.read(path)
        assert old in text, (path, old)
        self.write(path, text.replace(old, new))

    def remove(self, path: str) -> None:
        """Remove a file or a directory."""
        full = self.workspace / path
        if full.is_dir() and not full.is_symlink():
            shutil.rmtree(full)
        else:
            full.unlink()

    def displaced(self) -> dict[str, str]:
        """What lies in `.f0make/displaced/`: path below the run's directory -> text."""
        return self._aside("displaced")

    def failed(self) -> dict[str, str]:
        """What lies in `.f0make/failed/`: path below the run's directory -> text."""
        return self._aside("failed")

    def _aside(self, kind: str) -> dict[str, str]:
        root = self.workspace / ".f0make" / kind
        found = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                found["/".join(path.relative_to(root).parts[1:])] = path.read_text(errors="surrogateescape")
        return found


def listing(root: Path) -> dict[str, tuple[int, ...]]:
    """Everything below ``root`` with all that `lstat` says of it except access times."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in [".", *names, *files]:
            path = os.path.join(directory, name)
            s = os.lstat(path)
            found[path] = (s.st_mode, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
    return found


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until ``condition()`` is true; the test has failed when it does not become so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "what was waited for did not happen"
        time.sleep(0.01)


def marked(text: str) -> list[int]:
    """Processes (no zombies) that have ``text`` in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if text.encode() in Path("/proc", entry, "environ").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return found

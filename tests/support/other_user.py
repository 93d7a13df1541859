"""Another user of this machine, for tests that run as root: programs and files that are not this user's."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.contract_tools import Traced

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
IDS = {"alice": 61001, "bob": 61002, "mallory": 61003}
GROUP = 61000
"""The group of alice and bob."""


class As(Traced):
    """The command line of the user ``name``, who needs no entry in /etc/passwd for that."""

    def __init__(self, workspace: Path, name: str, umask: int = 0o022) -> None:
        super().__init__(workspace)
        self.name, self.uid = name, IDS[name]
        self.home = workspace.parent / f"home-{name}"
        self.home.mkdir(exist_ok=True)
        self.give(self.home)
        more = str(GROUP) if name != "mallory" else str(self.uid)
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", f"--groups={more}", "--"]
        self.prefix = [*become, "sh", "-c", f'umask {umask:04o}; exec "$@"', "sh"]

    def environment(self, more: object = None) -> dict[str, str]:
        """As for every test, with this user's home."""
        found = super().environment(more)  # type: ignore[arg-type]
        return {**found, "HOME": str(self.home), "XDG_CONFIG_HOME": ""}

    def give(self, path: Path) -> None:
        """Make ``path`` and all below it this user's."""
        for found in (path, *path.rglob("*")):
            os.chown(found, self.uid, self.uid, follow_symlinks=False)

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run ``text`` as this user, in the workspace."""
        return subprocess.run(
            [*self.prefix, "sh", "-c", text], cwd=self.workspace, capture_output=True, text=True, check=False
        )


@contextmanager
def reachable() -> Iterator[Path]:
    """A new directory that everybody can pass through to, as to this Python.

    It lies outside of pytest's own: each session of pytest that begins closes those of all others to other users. For one
    test at a time: the next one would find the directories above closed again.
    """
    with open("/tmp/f0make-tests-reachable.lock", "w") as lock, TemporaryDirectory(dir="/tmp") as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opened = {}
        for start in (Path(name), Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parent):
            for directory in (start, *start.parents):
                mode = directory.stat().st_mode & 0o7777
                if not mode & 0o001:
                    opened[directory] = mode
                    directory.chmod(mode | 0o001)
        try:
            yield Path(name)
        finally:
            for directory, mode in opened.items():
                if directory.exists():
                    directory.chmod(mode)

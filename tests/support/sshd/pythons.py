"""Pythons of other versions on this machine."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_WHERE = "import os, sys; print('%d.%d' % sys.version_info[:2]); print(sys.prefix); print(sys.executable)"


def _candidates(version: str) -> Iterator[Path]:
    """Executables that may be that Python, those that start fastest first."""
    home = Path.home()
    root = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    for pattern in (root / "versions", home / ".local/share/uv/python"):
        yield from sorted(pattern.glob(f"*/bin/python{version}"))
    places = ["/usr/bin", "/usr/local/bin", *os.environ.get("PATH", "").split(os.pathsep)]
    yield from (Path(place) / f"python{version}" for place in places if place)


@functools.cache
def find(version: str) -> tuple[Path, Path]:
    """(prefix, executable) of a Python ``version`` ("3.9") that is no virtual environment.

    Raises LookupError when there is none.
    """
    for path in _candidates(version):
        if not path.exists():
            continue
        done = subprocess.run(
            [str(path.resolve()), "-I", "-S", "-c", _WHERE], capture_output=True, text=True, check=False
        )
        said = done.stdout.splitlines()
        if done.returncode == 0 and said[0] == version and not (Path(said[1]) / "pyvenv.cfg").exists():
            return Path(said[1]), Path(said[2])
    raise LookupError(f"no Python {version} on this machine")

"""The directory of installed packages that goes into a zipapp: what is left out, and what it needs of a machine."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip notes about an installation: hashes of files that are left out, the place that a wheel came from."""
_MANYLINUX = re.compile(r"manylinux_2_(\d+)_|manylinux(1|2010|2014)_")
_OLD = {"1": 5, "2010": 12, "2014": 17}
"""manylinux tags before PEP 600 -> minor version of GNU libc 2."""


def scrub(packages: Path) -> None:
    """Make ``packages`` the same wherever it was installed: no scripts, no notes of pip's, plain permissions."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for path in packages.rglob("*"):
        if path.name in _NOTES and path.parent.suffix == ".dist-info":
            path.unlink()
        elif path.is_file():
            path.chmod(0o755 if ".so" in path.suffixes else 0o644)


def libc(packages: Path) -> str:
    """The oldest GNU libc that every package can use, as ``2.17``; empty when none has an extension module for it."""
    found = [_minor(path.read_text(encoding="utf-8")) for path in packages.glob("*.dist-info/WHEEL")]
    newest = max(found, default=0)
    return f"2.{newest}" if newest else ""


def _minor(wheel: str) -> int:
    """A wheel may have several tags: the oldest libc that one of them allows."""
    tags = [
        _OLD[match[2]] if match[2] else int(match[1])
        for line in wheel.splitlines()
        if line.startswith("Tag:") and (match := _MANYLINUX.search(line))
    ]
    return min(tags, default=0)

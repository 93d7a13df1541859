"""Building the zipapp: from the lock, the same every time."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import PROJECT
from tests.support.zipapp_tools import build, copy_sources, lean

LOCK = [
    Requirement(line.rstrip(" \\"))
    for line in (PROJECT / "shiv.lock").read_text(encoding="utf-8").splitlines()
    if re.match(r"[a-z]", line)
]


def _packages(archive: Path) -> dict[str, str]:
    """Name -> version of the distributions in a zipapp."""
    with zipfile.ZipFile(archive) as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read("site-packages.zip")))
    found = (
        re.match(r"site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA", name) for name in inner.namelist()
    )
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_holds_what_the_lock_says_and_no_codecarbon() -> None:
    packages = _packages(lean())
    assert packages.pop("f0make")
    locked = {
        canonicalize_name(r.name): str(r.specifier) for r in LOCK if r.marker is None or r.marker.evaluate()
    }
    assert {name: f"=={version}" for name, version in packages.items()}.items() <= locked.items()
    assert {"loky", "jinja2", "typer", "psutil"} <= packages.keys()
    assert packages.keys().isdisjoint({"codecarbon", "pandas", "numpy", "pytest"})
    assert "codecarbon" in locked


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_lock_has_one_version_of_everything_for_every_python(version: str) -> None:
    here = {"python_version": version, "python_full_version": f"{version}.4"}
    found = [canonicalize_name(r.name) for r in LOCK if r.marker is None or r.marker.evaluate(here)]
    assert len(found) == len(set(found))
    assert all(str(r.specifier).startswith("==") for r in LOCK)
    assert {"codecarbon", "pandas", "loky", "jinja2"} <= set(found)


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    copy_sources(tmp_path / "another place")
    again = build(tmp_path / "another place", tmp_path / "out", umask=0o077)
    assert again.read_bytes() == lean().read_bytes()

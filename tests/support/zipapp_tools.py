"""The lean zipapp for the tests: built once for one state of the sources, and a Python that has no package at all."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.support.paths import PROJECT

NAME = "dist/f0make.pyz"
SOURCES = (
    "f0make",
    "scriptlets",
    "onefile",
    "shiv.toml",
    "shiv.lock",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
_PLACE = PROJECT / "build" / "zipapp"
_VERSION = "{}.{}".format(*sys.version_info[:2])


def _files() -> list[Path]:
    found = [PROJECT / name for name in SOURCES]
    return sorted(
        path
        for top in found
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    )


def copy_sources(target: Path) -> None:
    """Everything that a build reads, to another place."""
    for path in _files():
        new = target / path.relative_to(PROJECT)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, new)
        new.chmod(path.stat().st_mode & 0o777)


def build(sources: Path, into: Path, umask: int = 0o022) -> Path:
    """Build the lean zipapp from ``sources`` as `make zipapp` does."""
    tools = _tools()
    command = [str(tools), "-m", "onefile", NAME, "--into", str(into)]
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MAKEFLAGS", "MFLAGS")}
    subprocess.run(command, cwd=sources, env=environ, check=True, umask=umask, stdout=subprocess.DEVNULL)
    return into / NAME


def _tools() -> Path:
    """The Python with the tools, made as the Makefile makes it."""
    name = f"build/zipapp/python{_VERSION}"
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MAKEFLAGS", "MFLAGS")}
    command = ["make", "-s", f"{name}/.installed", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=PROJECT, env=environ, check=True, stdout=subprocess.DEVNULL)
    return PROJECT / name / "bin" / "python"


@functools.cache
def lean() -> Path:
    """The zipapp of the sources as they are now; processes that ask at one time wait for one build."""
    digest = hashlib.sha256(sys.version.encode())
    for path in _files():
        digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    _PLACE.mkdir(parents=True, exist_ok=True)
    place = _PLACE / f"tests-{_VERSION}-{digest.hexdigest()[:16]}"
    with open(_PLACE / "tests.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / NAME).exists():
            for old in _PLACE.glob(f"tests-{_VERSION}-*"):
                shutil.rmtree(old)
            build(PROJECT, place)
    return place / NAME


@functools.cache
def bare_python(directory: Path) -> Path:
    """A Python in an environment without any package, not even pip."""
    venv.create(directory, symlinks=True)
    return directory / "bin" / "python3"

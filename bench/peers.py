"""The tools to compare with: found on the machine, or installed from PyPI beside the benchmark."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HOME = Path(__file__).parent / ".peers"
PACKAGES = ("ninja", "doit", "joblib", "redun", "snakemake")
"""In the order in which they are installed; what cannot be installed is left out of the table."""
QUICK = ("ninja", "joblib")
"""Those that the quick sizes are measured against."""


def install(packages: Sequence[str] = PACKAGES) -> None:
    """Make the environment of the peers, once."""
    if not (HOME / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    for package in packages:
        mark = HOME / f".{package}"
        if mark.exists() or find(package) is not None:
            continue
        pip = [str(HOME / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", package]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        said = done.stderr.strip().splitlines()[-1:] if done.returncode else [""]
        mark.write_text(said[0] if said else "failed")
        if done.returncode:
            print(f"bench: {package} cannot be installed and is left out: {said[0] if said else ''}")


def find(tool: str) -> str | None:
    """The path of ``tool``, None when it is not there."""
    own = HOME / "bin" / tool
    if own.exists():
        return str(own)
    return shutil.which(tool)


def python_with(module: str) -> str | None:
    """A Python that has ``module``: ours or that of the peers."""
    for python in (sys.executable, str(HOME / "bin" / "python")):
        if Path(python).exists():
            done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
            if done.returncode == 0:
                return python
    return None


def argv(tool: str, jobs: int) -> list[str] | None:
    """How ``tool`` brings everything up to date with ``jobs`` at one time; None when it is not installed."""
    path = find(tool)
    if path is None:
        return None
    return {
        "ninja": [path, f"-j{jobs}"],
        "make": [path, "-r", "-s", f"-j{jobs}", "all"],
        "doit": [path, "run", "-n", str(jobs)],
        "snakemake": [path, f"-j{jobs}", "--quiet", "all"],
        "redun": [path, "run", "workflow.py", "main"],
    }[tool]


def versions() -> str:
    """Versions of the peers that are there."""
    said = []
    for tool in ("ninja", "make", "doit", "snakemake", "redun"):
        path = find(tool)
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            lines = (done.stdout + done.stderr).splitlines()
            if lines:
                said.append(f"{tool} {lines[0].split()[-1]}")
    return ", ".join(said)

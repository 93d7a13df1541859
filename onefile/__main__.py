"""Writes the zipapps that shiv.toml lists: `python -m onefile [FILE ...]`, in an environment of tools.lock.

The same commit gives the same bytes wherever and whenever it is built: versions come from lock files, and what pip
notes about the place and the order of an installation is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from onefile import pack, tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Build what the command line names, by default the file that shiv.toml says; returns the exit code."""
    what: dict[str, Any] = tomllib.loads((ROOT / "shiv.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(prog="python -m onefile", description=main.__doc__)
    parser.add_argument(
        "file", nargs="*", default=None, help=f"file of shiv.toml; default: {what['default']}"
    )
    parser.add_argument(
        "--into", type=Path, default=ROOT, metavar="DIR", help="default: the top of the project"
    )
    asked = parser.parse_args()
    unknown = set(asked.file) - set(what["files"])
    if unknown:
        parser.error(f"not in shiv.toml: {', '.join(sorted(unknown))}")
    os.umask(0o022)
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(pack.EPOCH))
    with tempfile.TemporaryDirectory(prefix="f0make-zipapp-") as scratch:
        wheel = _wheel(Path(scratch, "wheel"))
        for name in asked.file or [what["default"]]:
            extras = what["files"][name]["extras"]
            target = asked.into / name
            packages = Path(scratch, f"packages-{target.name}")
            _install(packages, wheel, extras, ROOT / what["lock"])
            tree.scrub(packages)
            target.parent.mkdir(parents=True, exist_ok=True)
            _shiv(packages, Path(scratch, target.name), what)
            pack.repack(
                Path(scratch, target.name),
                target,
                what["entry-point"],
                what["interpreter"],
                tree.libc(packages),
            )
            print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


def _wheel(directory: Path) -> Path:
    """f0make's own wheel."""
    _run(
        "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(directory), str(ROOT)
    )
    (found,) = directory.glob("*.whl")
    return found


def _install(target: Path, wheel: Path, extras: list[str], lock: Path) -> None:
    """Install ``wheel`` with ``extras`` into ``target``, everything else at the versions and hashes of ``lock``."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    f0make = f"f0make[{','.join(extras)}] @ {wheel.as_uri()}#sha256={digest}"
    options = ("--quiet", "--no-compile", "--only-binary", ":all:", "--require-hashes")
    _run("-m", "pip", "install", *options, "--constraint", str(lock), "--target", str(target), f0make)


def _shiv(packages: Path, target: Path, what: dict[str, Any]) -> None:
    """shiv's own archive of ``packages``."""
    entry, line = what["entry-point"], what["interpreter"]
    options = ("--reproducible", "--site-packages", str(packages), "-e", entry, "-p", line, "-o", str(target))
    _run("-m", "shiv.cli", *options)


def _run(*arguments: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, env=environ)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"make zipapp: {' '.join(error.cmd[1:4])} … failed; is shiv.lock older than pyproject.toml (`make lock`)?"
        )

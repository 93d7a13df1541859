"""The zipapp's first start: shiv's bootstrap unpacks the packages, or whatever else its variables ask for is done.

All packages lie in one file inside the zipapp: Python reads a zipapp's whole table of contents at every start,
and thousands of entries would take longer than all the rest. shiv's functions get that inner archive.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

INNER = "site-packages.zip"
ELSEWHERE = ("SHIV_INTERPRETER", "SHIV_ENTRY_POINT", "SHIV_MODULE")
"""Variables that ask shiv for something else than f0make."""

REMEDY = "set SHIV_ROOT to a directory that can be written and has room"


def unpack(archive: str, root: str, target: str) -> None:
    """Unpack ``archive`` into ``target``, a directory in ``root``, unless that is there already.

    Several processes may do so at one time: shiv locks, unpacks aside and renames. Exits with 2 and one line when
    it cannot be done. Does not return when the environment asks shiv for something else than f0make.

    The directory is looked at from outside to inside: it appears whole, while another process may be at it.
    """
    import _bootstrap

    present, whole = os.path.isdir(target), os.path.isdir(os.path.join(target, "site-packages"))
    force = _bootstrap.environment.str_bool(os.environ.pop("SHIV_FORCE_EXTRACT", "")) or present > whole
    if force or not present:
        try:
            _unpack(_bootstrap, archive, root, target, force)
        except (OSError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or error
            where = getattr(error, "filename", None) or root
            print(f"f0make: cannot be unpacked into {where}: {reason}; {REMEDY}", file=sys.stderr)
            sys.exit(2)
    if any(os.environ.get(name) for name in ELSEWHERE):
        os.environ["SHIV_ROOT"] = root
        sys.exit(_bootstrap.bootstrap())


def _unpack(shiv: Any, archive: str, root: str, target: str, force: bool) -> None:
    os.makedirs(root, exist_ok=True)
    # A file of its own, for searching back and forth in an entry of an archive reads it again and again.
    with zipfile.ZipFile(archive) as outer, tempfile.TemporaryFile(dir=root) as copy:
        with outer.open(INNER) as inner:
            shutil.copyfileobj(inner, copy)
        with zipfile.ZipFile(copy) as packages:
            shiv.extract_site_packages(packages, Path(target), force=force)

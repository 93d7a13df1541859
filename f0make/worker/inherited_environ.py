"""What steps inherit from the process that f0make is: its environment, and standard streams that exist.

And what f0make's own workers get beyond that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import f0make
from f0make.cache.credential_variables import PRIVATE

_HIDDEN = frozenset(map(os.fsencode, PRIVATE))


def for_steps(
    environ: Mapping[bytes, bytes], workspace: str, variables: Mapping[str, str]
) -> dict[bytes, bytes]:
    """``environ`` with f0make's own ``variables`` and what a shell would set in ``workspace``; no credentials of f0make's."""
    found = {name: value for name, value in environ.items() if name not in _HIDDEN}
    found.update({os.fsencode(name): os.fsencode(value) for name, value in variables.items()})
    found[b"PWD"] = _pwd(workspace, environ.get(b"PWD"))
    found.setdefault(b"SHLVL", b"0")  # as `bash -c` gives it to the one program that it becomes
    return found


def for_workers(environ: Mapping[bytes, bytes], safe_path: bool) -> dict[str, str]:
    """Variables of f0make's own Python processes, beside ``environ``: where they find modules, and where not.

    ``safe_path`` keeps them from importing modules out of the current directory (from Python 3.11 on).
    """
    found = {"PYTHONSAFEPATH": "1"} if safe_path else {}
    if sys.flags.utf8_mode:
        found["PYTHONUTF8"] = "1"  # as f0make itself, whatever the locale
    if f0make.unpacked is not None:
        own = os.fsdecode(environ.get(b"PYTHONPATH", b""))
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [f0make.unpacked, own]))
        found["PYTHONDONTWRITEBYTECODE"] = ""  # as front.py of the zipapp
    return found


def fill_standard_streams() -> None:
    """Put the null device where f0make was started without stdin, stdout or stderr.

    Otherwise the pipes of the workers get these numbers, and end up as their standard streams.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _pwd(workspace: str, inherited: bytes | None) -> bytes:
    """PWD as a shell would set it: the inherited name of the directory if it is one, else the real path."""
    if inherited is not None:
        try:
            if os.path.isabs(inherited) and os.path.samefile(inherited, workspace):
                return inherited
        except OSError:
            pass
    return os.fsencode(os.path.realpath(workspace))

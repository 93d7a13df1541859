"""What lies now where a record discovered something: a question that costs no more than what a record may ask for.

The paths stand in records, which others may have written: a pipe or a device there keeps nobody waiting, and nobody
hashes a disk for them. What is out of bounds has another token than any record can name, so the record does not hold.
"""

from __future__ import annotations

import os
import stat

from f0make.engine.promised_tokens import Tokens
from f0make.files.content_digest import FileError

MOST_BYTES = 1 << 30
"""Of a file whose token is not known yet."""
BEYOND = "?"
"""The token of what is not looked at."""
_NO_FILES = ("/proc", "/sys", "/dev")
"""File systems in which reading does what it likes."""


class Discovered:
    """The tokens of discovered paths in the workspace of ``tokens``."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._root = tokens.contents.root.rstrip("/") + "/"
        self._bounded: dict[str, bool] = {}
        self._devices = {found for found in map(_device, _NO_FILES) if found is not None}
        self._devices.discard(_device("/"))

    def token_of(self, path: str) -> str | None:
        """The token of ``path``, None when there is nothing, `BEYOND` when it will not be found out."""
        if path not in self._tokens.promised:
            bounded = self._bounded.get(path)
            if bounded is None:
                bounded = self._bounded[path] = self._is_bounded(path)
            if not bounded:
                return BEYOND
        try:
            return self._tokens.of(path)
        except (FileError, ValueError):
            return BEYOND

    def _is_bounded(self, path: str) -> bool:
        full = os.path.join(self._root, path)
        try:
            st = os.stat(full)
        except (OSError, ValueError):
            return True
        if st.st_dev in self._devices:
            return False
        if stat.S_ISDIR(st.st_mode):
            return (os.path.normpath(full) + "/").startswith(self._root)
        return stat.S_ISREG(st.st_mode) and (st.st_size <= MOST_BYTES or self._tokens.contents.knows(path))


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None

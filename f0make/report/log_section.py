"""The logs that a page shows: of failed instances first, the end of each, all together bounded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from f0make import STATE
from f0make.files.open_regular import open_regular
from f0make.report.run_facts import Row
from f0make.store.log_names import log_name

EACH, EACH_FAILED, ALL = 4_000, 32_000, 1_000_000
"""Bytes of one log, of that of a failed instance, and of all logs of a page."""
MOST = 300
"""Logs of a page."""

_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Colours and titles for a terminal (ECMA-48)."""


class Log(NamedTuple):
    """What an instance printed; ``cut``: bytes left out before it."""

    name: str
    failed: bool
    text: str
    cut: int


def logs(found: Iterable[Row], workspace: str, recipe: str) -> tuple[list[Log], int]:
    """The logs of ``recipe`` to show, and how many more there are."""
    ran = [row for row in found if row.status in ("failed", "ran")]
    shown: list[Log] = []
    left, more = ALL, 0
    for row in sorted(ran, key=lambda row: row.status != "failed"):
        failed = row.status == "failed"
        path = os.path.join(workspace, STATE, "logs", log_name(recipe, row.name))
        try:
            size = os.lstat(path).st_size
            if not size:
                continue
            if left <= 0 or len(shown) >= MOST:
                more += 1
                continue
            keep = min(size, left, EACH_FAILED if failed else EACH)
            with open(open_regular(path), "rb") as file:
                file.seek(size - keep)
                data = file.read(keep)
        except OSError:
            continue
        left -= len(data)
        shown.append(Log(row.name, failed, _text(data), size - keep))
    return shown, more


def _text(data: bytes) -> str:
    text = _ESCAPE.sub("", data.decode("utf-8", "surrogateescape"))
    return text.replace("\r\n", "\n").replace("\r", "\n")

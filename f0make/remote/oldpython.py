"""Lets f0make's own modules be read by Python 3.9, whose dataclasses know no ``slots``. Part of what is sent."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def readable() -> Iterator[None]:
    """While this holds, `dataclass(slots=True)` makes an ordinary class where it would be an error."""
    real = dataclasses.dataclass
    if sys.version_info >= (3, 10):  # noqa: UP036 - hosts may have 3.9
        yield
        return

    def without_slots(cls: Any = None, **options: Any) -> Any:
        options.pop("slots", None)
        return real(**options) if cls is None else real(cls, **options)

    dataclasses.dataclass = without_slots
    try:
        yield
    finally:
        dataclasses.dataclass = real

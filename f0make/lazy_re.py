"""Regular expressions that are compiled when they are first used.

Compiling one takes a tenth of a millisecond or more, and a run that starts cold would compile dozens of which
it needs a few.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    def later(pattern: str, flags: int = 0) -> re.Pattern[str]:
        """``re.compile(pattern, flags)``, not now."""
else:

    def later(pattern, flags=0):
        """``re.compile(pattern, flags)``, not now."""
        return Later(pattern, flags)


class Later:
    """In the place of a compiled pattern."""

    def __init__(self, pattern: Any, flags: int = 0) -> None:
        self._asked = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """What the compiled pattern has by this name; from now on it is this object's own."""
        value = getattr(re.compile(*self._asked), name)
        setattr(self, name, value)
        return value

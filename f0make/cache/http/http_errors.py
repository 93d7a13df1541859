"""What can go wrong between f0make and a cache server, in words that can be said once."""

from __future__ import annotations


class Trouble(Exception):
    """A request that came to nothing. ``kind`` tells what was said before from what is new.

    ``fatal``: asking again is pointless in this run.
    """

    def __init__(self, kind: str, text: str, fatal: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.fatal = fatal

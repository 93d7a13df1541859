"""`--json`: one object a line on standard output, flushed as soon as it is printed."""

from __future__ import annotations

import sys

from f0make.ascii_json import dumper
from f0make.cli import streams
from f0make.options import Event, Known, Silent

_dumps = dumper(item_separator=", ", key_separator=": ")


class JsonLines(Silent):
    """Prints events as they are, in ASCII. A reader that goes away does not end the run."""

    def __init__(self) -> None:
        self._open = True

    def print(self, event: Event) -> None:
        """One line."""
        self._write(_dumps(event))

    def known(self, rest: Known) -> None:
        """Print step events that are JSON already."""
        found = rest.lines()
        if found:
            self._write("\n".join(found))

    def _write(self, text: str) -> None:
        if not self._open:
            return
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except OSError as error:
            self._open = False
            streams.mute(sys.stdout)
            if not isinstance(error, BrokenPipeError):
                print(f"f0make: standard output: {error.strerror}; no more events follow", file=sys.stderr)

    def start(self, event: Event) -> None:
        """The first line."""
        self.print(event)

    def step(self, event: Event) -> None:
        """A line for an instance."""
        self.print(event)

    def host(self, event: Event) -> None:
        """A line for a host."""
        self.print(event)

    def summary(self, event: Event) -> None:
        """The last line."""
        self.print(event)

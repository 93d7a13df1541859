"""Plain lines on standard error, for a pipe, a file or a CI log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from f0make.cli.reporters.wording import step_line, summary_line
from f0make.cli.streams import shown, shown_block
from f0make.options import Event, Known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WORTH_A_LINE = frozenset({"ran", "restored", "failed"})


class Plain:
    """A line for each instance that ran, was restored or failed; with ``verbose`` for all, and their logs.

    ``quiet`` leaves failures and notes only.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose

    def line(self, text: str) -> None:
        """Print one line; a standard error that is gone is no reason to end a run."""
        try:
            print(shown_block(text), file=sys.stderr, flush=True)
        except OSError:
            pass

    def watch(self, monitor: Callable[[], Mapping[str, Any]]) -> None:
        """Lines that stay say nothing of the moment."""

    def start(self, event: Event) -> None:
        """Nothing to say yet."""

    def running(self, instance: str, attempt: int, host: str) -> None:
        """Said with ``verbose``, and for every attempt after the first."""
        if self._verbose:
            again = f" (attempt {attempt})" if attempt > 1 else ""
            self.line(f"start     {shown(instance)}{again}{f' on {shown(host)}' if host else ''}")
        elif attempt > 1 and not self._quiet:
            self.line(f"retry     {shown(instance)} (attempt {attempt})")

    def step(self, event: Event) -> None:
        """The instance's line, where it deserves one."""
        status = event["status"]
        if status == "failed" or (not self._quiet and (self._verbose or status in WORTH_A_LINE)):
            self.line(step_line(event))

    def known(self, rest: Known) -> None:
        """Step events of what nothing has changed for, as JSON: said with ``verbose``."""
        if self._verbose and not self._quiet:
            import json

            for line in rest.lines():
                self.step(json.loads(line))

    def host(self, event: Event) -> None:
        """What may be wrong with a host is always said."""
        status, reason = event["status"], event["reason"]
        if reason:
            does = {"left-out": "is left out", "lost": "is lost", "back": "is back"}.get(status, "is there")
            self.note(f"host {event['host']} {does}: {reason.removeprefix(event['host'] + ': ')}")
        elif status == "back" or self._verbose:
            self.note(f"host {event['host']} is {'back' if status == 'back' else 'there'}")

    def output(self, instance: str, log: str, failed: bool) -> None:
        """The end of a failed step's log; with ``verbose`` the whole log of every step."""
        if failed or self._verbose:
            from f0make.cli.reporters.log_excerpt import excerpt

            lines = excerpt(shown(instance), log, None if self._verbose else 20)
            if lines:
                self.line("\n".join(lines))

    def note(self, text: str) -> None:
        """Always said."""
        self.line(f"f0make: {shown_block(text)}")

    def summary(self, event: Event) -> None:
        """The last line."""
        if not self._quiet:
            self.line(f"f0make: {summary_line(event)}")

    def stop(self) -> None:
        """Every line is out already."""

"""Progress on a terminal: what runs, how much is done, how long it may still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from f0make.cli.reporters.plain import Plain
from f0make.cli.reporters.wording import duration
from f0make.cli.streams import acting, shown, shown_block
from f0make.options import Event, Known

ROWS = 8
"""Running instances listed at one time; more are counted."""


class Live(Plain):
    """The plain lines, above a few that move. rich is loaded when the first step starts, not before."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, float] = {}
        self._total = 0
        self._done = 0
        self._worked = 0
        self._began = time.monotonic()
        self._display: Any = None
        self._monitor: Callable[[], Mapping[str, Any]] | None = None
        self._used = ""
        self._asked = 0.0
        self._console: Any = None

    def watch(self, monitor: Callable[[], Mapping[str, Any]]) -> None:
        """``monitor`` tells what f0make and its steps use at the moment."""
        self._monitor = monitor

    def start(self, event: Event) -> None:
        """Remember how many instances there are."""
        self._total = int(event.get("instances") or 0)
        self._began = time.monotonic()

    def running(self, instance: str, attempt: int, host: str) -> None:
        """Show the instance among those that run."""
        super().running(instance, attempt, host)
        self._running[instance] = time.monotonic()
        if self._display is None:
            self._show()

    def step(self, event: Event) -> None:
        """The instance's line goes above; it runs no more."""
        self._done += 1
        if self._running.pop(event["step"], None) is not None:
            self._worked += 1
        super().step(event)

    def known(self, rest: Known) -> None:
        """Count what nothing has changed for."""
        self._done += rest.count

    def summary(self, event: Event) -> None:
        """Stop moving, then the last line."""
        self.stop()
        super().summary(event)

    def line(self, text: str) -> None:
        """Print above what moves."""
        if self._display is None:
            super().line(text)
            return
        from rich.text import Text

        self._console.print(Text(shown_block(text)), soft_wrap=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._console = Console(file=acting(sys.stderr), highlight=False, markup=False, emoji=False)
        self._display = Display(
            get_renderable=self._picture, console=self._console, transient=True, redirect_stdout=False
        )
        self._display.start()

    def _picture(self) -> Any:
        """What moves, as rich text. Called from the display's thread."""
        from rich.text import Text

        now = time.monotonic()
        oldest = sorted(self._running.copy().items(), key=lambda item: item[1])
        lines = [f"  {shown(name)}  {duration(now - since)}" for name, since in oldest[:ROWS]]
        if len(oldest) > ROWS:
            lines.append(f"  … and {len(oldest) - ROWS} more")
        lines.append(self._sum(now, len(oldest)))
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

    def _sum(self, now: float, running: int) -> str:
        """`[12/40] 2 running, 0:31 min, about 1:10 min left`."""
        passed = now - self._began
        left = ""
        remaining = self._total - self._done
        if self._worked and remaining > 0:
            left = f", about {duration(passed / self._worked * remaining)} left at most"
        return f"[{self._done}/{self._total}] {running} running, {duration(passed)}{left}{self._usage(now)}"

    def _usage(self, now: float) -> str:
        """`, CPU 180 %, 420 MB, 12 W`: what the run uses, looked at once a second."""
        if self._monitor is not None and now - self._asked >= 1.0:
            self._asked = now
            seen = self._monitor()
            power = seen.get("power_w")
            watts = f", {power:.3g} W" if power is not None else ""
            self._used = f", CPU {seen['cpu']:.0f} %, {seen['mem'] / 1e6:.0f} MB{watts}"
        return self._used

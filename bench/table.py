"""One line of the table: what was measured, against what, and what it should be."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measure import Timing, ratio


@dataclass
class Row:
    """A ratio of medians of pairs, or a plain ``value`` (an exponent, MB, s) where there is nothing to divide by."""

    measure: str
    ours: Timing | None = None
    theirs: Timing | None = None
    bar: float | None = None
    goal: float | None = None
    value: float | None = None
    unit: str = ""

    @property
    def result(self) -> float:
        """The ratio, or the value."""
        if self.value is not None:
            return self.value
        assert self.ours is not None and self.theirs is not None
        return ratio(self.ours, self.theirs)

    @property
    def verdict(self) -> str:
        """Whether bar and goal are met."""
        if self.bar is None:
            return ""
        if self.goal is not None and self.result <= self.goal:
            return "goal"
        return "bar" if self.result <= self.bar else "missed"

    def cells(self) -> list[str]:
        """The columns of the table."""

        def seconds(timing: Timing | None) -> str:
            return f"{timing.median:.4f}" if timing is not None else ""

        def number(value: float | None) -> str:
            return f"{value:g}" if value is not None else ""

        shown = f"{self.result:.1f} {self.unit}" if self.unit else f"{self.result:.2f}"
        return [
            self.measure,
            seconds(self.ours),
            seconds(self.theirs),
            shown,
            number(self.bar),
            number(self.goal),
            self.verdict,
        ]

    def text(self) -> str:
        """For the terminal."""
        name, ours, theirs, result, bar, goal, verdict = self.cells()
        return f"{name:<74} {ours:>9} {theirs:>9} {result:>9}  {bar:>5} {goal:>5}  {verdict}"

    def markdown(self) -> str:
        """For RESULTS.md."""
        return f"| {' | '.join(self.cells())} |"


HEAD = "| measure | f0make (s) | peer (s) | ratio | bar | goal | met |\n| --- | --- | --- | --- | --- | --- | --- |"

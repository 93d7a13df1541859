"""The course of a run as bars in lanes: as many lanes for a host as steps ran there at one time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from f0make.report.run_facts import Row

MOST_LANES = 64
COLUMNS, CELLS = 800, 8_000
"""Bars of one state that lie within a column of a lane are drawn as one: so many columns, and cells in all lanes."""


@dataclass(slots=True)
class Bar:
    """Something that happened in a lane: ``left`` and ``width`` in percent of the whole time."""

    left: float
    width: float
    status: str
    names: list[str]
    """The first of the instances."""
    count: int
    seconds: float


@dataclass(slots=True)
class Lane:
    """One slot of a host."""

    host: str
    bars: list[Bar]


@dataclass(slots=True)
class Timeline:
    """``span``: seconds from the first start to the last end; ``left_out``: lanes beyond `MOST_LANES`."""

    span: float
    lanes: list[Lane]
    ticks: list[tuple[float, float]]
    """(percent, seconds) of the marks of the axis."""
    left_out: int = 0


def timeline(found: Sequence[Row]) -> Timeline | None:
    """The bars of all rows that are known to have run; None when there are none."""
    ran = sorted((r for r in found if r.started is not None), key=lambda r: (r.started or 0.0, r.name))
    if not ran:
        return None
    first = ran[0].started or 0.0
    span = max(max((r.started or 0.0) + (r.seconds or 0.0) for r in ran) - first, 1e-3)
    free: dict[str, list[tuple[float, int]]] = {}
    lanes: dict[tuple[str, int], list[Row]] = {}
    for row in ran:
        slots = free.setdefault(row.host, [])
        began, lane = row.started or 0.0, len(slots)
        # A hair of overlap is the clocks' doing, not another slot.
        if slots and slots[0][0] <= began + 2e-3:
            lane = heappop(slots)[1]
        heappush(slots, (began + (row.seconds or 0.0), lane))
        lanes.setdefault((row.host, lane), []).append(row)
    shown = sorted(lanes.items())[:MOST_LANES]
    column = 100 / min(COLUMNS, CELLS // len(shown))
    drawn = [Lane(host, _bars(members, first, span, column)) for (host, _), members in shown]
    return Timeline(span, drawn, _ticks(span), max(0, len(lanes) - MOST_LANES))


def _bars(members: Sequence[Row], first: float, span: float, column: float) -> list[Bar]:
    bars: list[Bar] = []
    for row in members:
        left = 100 * ((row.started or 0.0) - first) / span
        width = 100 * (row.seconds or 0.0) / span
        last = bars[-1] if bars else None
        if last is not None and last.status == row.status and left + width - last.left < column:
            last.width = left + width - last.left
            last.count += 1
            last.seconds += row.seconds or 0.0
            if len(last.names) < 3:
                last.names.append(row.name)
        else:
            bars.append(Bar(left, width, row.status, [row.name], 1, row.seconds or 0.0))
    return bars


def _ticks(span: float) -> list[tuple[float, float]]:
    step = next(
        (
            base * 10.0**power
            for power in range(-4, 9)
            for base in (1, 2, 5)
            if span / (base * 10.0**power) <= 8
        ),
        span,
    )
    return [(100 * n * step / span, n * step) for n in range(int(span / step) + 1)]

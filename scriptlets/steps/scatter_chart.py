"""A scatter chart as SVG, without any library."""

from __future__ import annotations

import csv
import math
from typing import Any
from xml.sax.saxutils import escape

from f0make.context import Context
from scriptlets.core.base import BaseScriptlet

PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
"""Okabe and Ito's colours, which people with colour-blindness can tell apart (doi:10.1038/nmeth.1618)."""

MARGIN = 56
"""Pixels around the plotting area."""


class ScatterChart(BaseScriptlet):
    """Plot column ``y`` of input ``table`` against column ``x``, coloured by ``group``, into output ``chart``."""

    class Params:
        x: str
        y: str
        group: str
        width: int = 640
        height: int = 480
        radius: float = 3.5
        """Sizes in pixels."""

    def run(self, ctx: Context, params: dict[str, Any]) -> int:
        """Returns 0. Raises ValueError for an empty table or a value that is no number."""
        x, y, group = params["x"], params["y"], params["group"]
        with open(ctx.step.inputs["table"], encoding="utf-8", newline="") as source:
            points = [(float(row[x]), float(row[y]), row[group]) for row in csv.DictReader(source)]
        if not points:
            raise ValueError("the table has no rows")
        svg = draw(
            points,
            (x, y),
            int(params.get("width", self.Params.width)),
            int(params.get("height", self.Params.height)),
            float(params.get("radius", self.Params.radius)),
        )
        with open(ctx.step.outputs["chart"], "w", encoding="utf-8") as target:
            target.write(svg)
        print(f"{len(points)} points")
        return 0


def draw(
    points: list[tuple[float, float, str]], labels: tuple[str, str], width: int, height: int, radius: float
) -> str:
    """The chart as SVG text; ``points`` are (x, y, group)."""
    across = ticks(min(p[0] for p in points), max(p[0] for p in points))
    upwards = ticks(min(p[1] for p in points), max(p[1] for p in points))
    groups = sorted({p[2] for p in points})
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(groups)}

    def left(value: float) -> str:
        return number(MARGIN + (value - across[0]) / (across[-1] - across[0]) * (width - 2 * MARGIN))

    def top(value: float) -> str:
        return number(
            height - MARGIN - (value - upwards[0]) / (upwards[-1] - upwards[0]) * (height - 2 * MARGIN)
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(labels[1])} against {escape(labels[0])}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        '<g stroke="#dddddd">',
        *(f'<path d="M{left(t)} {MARGIN}V{height - MARGIN}"/>' for t in across),
        *(f'<path d="M{MARGIN} {top(t)}H{width - MARGIN}"/>' for t in upwards),
        "</g>",
        '<g fill="#333333" text-anchor="middle">',
        *(f'<text x="{left(t)}" y="{height - MARGIN + 18}">{number(t)}</text>' for t in across),
        f'<text x="{width // 2}" y="{height - 14}">{escape(labels[0])}</text>',
        f'<text transform="translate(14 {height // 2}) rotate(-90)">{escape(labels[1])}</text>',
        "</g>",
        '<g fill="#333333" text-anchor="end">',
        *(f'<text x="{MARGIN - 6}" y="{top(t)}" dy="4">{number(t)}</text>' for t in upwards),
        "</g>",
    ]
    for name in groups:
        parts.append(f'<g fill="{colours[name]}" fill-opacity="0.7">')
        parts += [
            f'<circle cx="{left(px)}" cy="{top(py)}" r="{number(radius)}"/>'
            for px, py, of in points
            if of == name
        ]
        parts.append("</g>")
    for index, name in enumerate(groups):
        at = MARGIN + 120 * index
        parts.append(f'<circle cx="{at + 6}" cy="24" r="6" fill="{colours[name]}"/>')
        parts.append(f'<text x="{at + 18}" y="28" fill="#333333">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """About ``wanted`` round numbers (1, 2 or 5 times a power of ten apart) from below ``low`` to above ``high``."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= wanted)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """``value`` with at most two decimal places and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")

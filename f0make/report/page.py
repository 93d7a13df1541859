"""The page: facts into HTML by a template that escapes everything. Nothing in it is loaded from anywhere."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from f0make.graph.draw.parts import OUTCOMES, printable
from f0make.graph.draw.policy import policy
from f0make.report import number_text
from f0make.report.log_section import logs
from f0make.report.run_facts import Row, by_step
from f0make.report.timeline import timeline
from f0make.store.instance_identity import recipe_of

MOST_ROWS = 500
"""Instances with a row of their own: those that failed, then those that took longest."""
MOST_STEPS = 1_000

_ALWAYS = {"recipe": "?", "status": "?", "run": "", "targets": (), "test_meta": {}, "budget": "", "rest": {}}
_MEASURED = (
    *(
        "started",
        "seconds",
        "cpu_seconds",
        "peak_mem",
        "read",
        "written",
        "saved_seconds",
        "saved_energy_kwh",
    ),
    *("energy_kwh", "carbon_g", "energy_overhead_kwh", "energy_method", "carbon_intensity"),
)
"""What the line of an older version may lack."""


def page(run: Mapping[str, Any], found: Sequence[Row], workspace: str, graph: tuple[str, str]) -> str:
    """The page about ``run``; ``graph`` is what `drawing` says (its SVG is trusted, it escapes by itself)."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        seconds=number_text.seconds,
        size=number_text.size,
        energy=number_text.energy,
        mass=number_text.mass,
        number=number_text.number,
        moment=number_text.moment,
        place=_place,
    )
    template = environment.from_string(
        files("f0make.report").joinpath("page.html").read_text(encoding="utf-8")
    )
    steps = by_step(found)
    order = {"failed": 0, "ran": 1, "restored": 2, "cancelled": 3, "skipped": 4, "current": 5}
    listed = sorted(found, key=lambda row: (order.get(row.status, 9), -(row.seconds or 0.0), row.name))
    shown_logs, more_logs = logs(found, workspace, recipe_of(str(run.get("recipe", "")), workspace))
    text = template.render(
        policy_here=Markup(_POLICY_HERE),
        run={**dict.fromkeys(_MEASURED), **_ALWAYS, **run},
        states=[
            (name, run.get(name) or 0)
            for name in ("ran", "restored", "current", "failed", "skipped", "cancelled")
        ],
        colours=OUTCOMES,
        steps=steps[:MOST_STEPS],
        step_count=len(steps),
        rows=listed[:MOST_ROWS],
        row_count=len(listed),
        timeline=timeline(found),
        hosts=any(row.host for row in found),
        metered=run.get("energy_kwh") is not None,
        svg=Markup(graph[0]),
        graph_note=graph[1],
        logs=shown_logs,
        more_logs=more_logs,
        workspace=os.path.abspath(workspace),
        now=time.time(),
    )
    return text.replace(_POLICY_HERE, policy(_inside(text, "style"), _inside(text, "script")), 1)


_POLICY_HERE = "<!-- policy -->"


def _inside(text: str, element: str) -> str:
    """What stands in the only ``element`` of a page in which everything foreign is escaped."""
    return text.partition(f"<{element}>")[2].partition(f"</{element}>")[0]


def _place(percent: float) -> str:
    """A part of a class name for a place in percent: no element has a style of its own, so that the policy can forbid it."""
    return f"{round(percent * 10_000)}"


def _shown(value: Any) -> Any:
    """Undecodable bytes and control characters as escapes; the rest is left to autoescape."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

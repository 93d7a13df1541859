"""Inputs that are not there and that nothing makes, each with the most telling problem."""

from __future__ import annotations

from collections.abc import Callable

from f0make.errors import Problem
from f0make.fast_dataclass import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.graph.build_graph import MissingInput
    from f0make.recipe_graph.layout import Layout
    from f0make.trail import Trail

TEMPLATE = r"\$\{\{.*?\}\}"


def missing(
    layout: Layout,
    wanted: set[int],
    perhaps: Callable[[str], bool] = lambda path: False,
    most: int | None = None,
) -> list[MissingInput]:
    """Inputs of ``wanted`` instances that do not exist, that nothing makes, and that are not ``perhaps`` made.

    With ``most`` only the first of them.
    """
    passing = layout.passing
    found = layout.graph.missing_inputs(wanted, lambda path: passing.there(path) or perhaps(path), most)
    return [
        replace(
            m,
            problem=_dangling(m, passing.dangling[m.path])
            if m.path in passing.dangling
            # The pattern step that could make it if it had what it needs.
            else replace(m.problem, hint=layout.expansion.would_need(m.path) or ""),
        )
        for m in found
    ]


def _dangling(missing: MissingInput, trail: Trail) -> Problem:
    """The problem of an input that is a link to nothing."""
    link = trail.links[-1]
    by = "" if link == missing.path else f" by the link {link!r}"
    what = "which is not there, and no step makes it" if trail.missing else "in a circle"
    text = missing.problem.message.split(" does not exist")[0]
    return replace(missing.problem, message=f"{text} leads{by} to {trail.text!r}, {what}")


def perhaps_made(layout: Layout, path: str, faulty: bool) -> bool:
    """Whether a step that has no instances because of a problem of its own may make ``path``.

    ``faulty``: steps are missing from the recipe, too.
    """
    import re

    from f0make.regex.bounded import Bounded, Unbounded

    recipe = layout.recipe
    without = [s for s in recipe.steps if s.name not in layout.graph.by_step]
    patterns = [
        re.sub(TEMPLATE, "\0", decl.text, flags=re.DOTALL) for step in without for decl in step.outputs
    ]
    for pattern in patterns:
        body = ".*".join(re.escape(part) for part in re.sub("\0+", "\0", pattern.rstrip("/")).split("\0"))
        try:
            if Bounded(body + "(/.*)?", re.DOTALL).fullmatch(path):
                return True
        except Unbounded:
            return True
    return faulty and any(text.count(path) > 1 for text in recipe.sources.values())

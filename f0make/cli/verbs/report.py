"""`f0make report`: one self-contained page about the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from f0make.cli.streams import write_bytes, write_file
from f0make.cli.verbs.lookback import last_recipe, last_run, opened
from f0make.errors import F0makeError, UsageError
from f0make.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the page, or write it to the file of `-o`."""
    recipe = last_recipe(extras)
    last = last_run(recipe)
    if last is None:
        raise UsageError(f"{recipe} was not run here yet: there is nothing to report")
    data = _page(recipe, last, options).encode("utf-8", "backslashreplace")
    if extras.get("output") is None:
        write_bytes(data)
    else:
        write_file(extras["output"], data, "report", recipe)
    return 0


def _page(recipe: str, run: Mapping[str, Any], options: RunOptions) -> str:
    from f0make.report.page import page
    from f0make.report.run_drawing import drawing
    from f0make.report.run_facts import rows
    from f0make.store.instance_identity import recipe_of
    from f0make.store.record_store import Store

    states = dict(run.get("steps") or {})
    current: list[str] = []
    options.targets = [str(target) for target in run.get("targets") or ()]
    try:
        with opened(recipe, options) as session:
            wanted = session.wanted()
            names = (session.graph.instances[n].name for n in wanted if n < len(session.graph.instances))
            current = [name for name in names if name not in states] if run.get("current") else []
            states.update(dict.fromkeys(current, "current"))
            graph = drawing(session.graph, wanted, states)
    except F0makeError as error:
        first = str(error).partition("\n")[0]
        graph = "", f"The recipe is not as it was in this run, so there is no drawing: {first}"
    with Store(".", readonly=True, recipe=recipe_of(recipe, ".")) as store:
        return page(run, rows(run, store, current), ".", graph)

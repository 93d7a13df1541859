"""What words stand for in a graph: targets, and those of `--only`, `--skip` and `--force`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from f0make.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.recipe_graph.layout import Layout


def root_of(pending: Mapping[str, str], step: str) -> str:
    """The step without an unmet `after:` of its own that ``step`` waits for in the end; perhaps itself."""
    seen: set[str] = set()
    while step in pending and step not in seen:
        seen.add(step)
        step = pending[step]
    return step


class Names:
    """Resolves words in ``layout``.

    ``lose`` takes a word that stands for nothing, with the error that says so: it raises that, unless the word was to
    come to something when the graph grew.
    """

    def __init__(self, layout: Layout, lose: Callable[[str, UsageError], None]) -> None:
        self._layout = layout
        self._lose = lose

    def resolve(self, target: str) -> list[int]:
        """Indexes of the instances that ``target`` stands for (see `graph.selection`).

        A file that exists and that no step makes stands for none. Raises UsageError for anything else.
        """
        layout = self._layout
        graph, expansion, recipe = layout.graph, layout.expansion, layout.recipe
        if target in graph.by_name:
            return [graph.by_name[target]]
        if target in graph.by_step:
            return list(graph.by_step[target])
        from f0make.graph.selection import names_step, select

        path = layout.relative(target)
        found = select(target, path, graph)
        if found is None and path in graph.through:
            found = sorted(graph.makers_through(path))
        if found:
            return found
        if path in layout.passing.dangling:
            text = layout.passing.dangling[path].text
            raise UsageError(f"target {target!r} leads to {text!r}, which is not there, and no step makes it")
        if recipe.step(target) is not None and expansion.is_pattern(target):
            raise UsageError(
                f"target {target!r} is a pattern step, and nothing asks for an instance of it: name an instance or a file"
            )
        if recipe.step(target) is not None or layout.exists(path) or self._may_come(target, path):
            return []
        unmet = expansion.would_need(path)
        if unmet is not None:
            raise UsageError(f"target {target!r}: {unmet}")
        if names_step(target, graph.by_step) and "[" in target:
            step = target.partition("[")[0]
            raise UsageError(
                f"target {target!r}: {step} has no such instance; see `f0make list {recipe.path}`"
            )
        raise UsageError(
            f"target {target!r} is no step, no instance and no file that a step makes{self._near(target)}"
        )

    def found(self, word: str) -> list[int]:
        """As `resolve`, for a word that may be lost."""
        try:
            return self.resolve(word)
        except UsageError as error:
            self._lose(word, error)
            return []

    def selected(self, option: str, words: Sequence[str]) -> set[int]:
        """Indexes of the instances that the ``words`` of ``option`` (`--only`, `--skip`) stand for.

        Raises UsageError for a word that stands for none.
        """
        if not words:
            return set()
        from f0make.graph.selection import names_step, select

        layout = self._layout
        chosen: set[int] = set()
        for word in words:
            found = select(word, layout.relative(word), layout.graph)
            if (
                found is None
                and layout.recipe.step(word) is None
                and not (layout.pending and names_step(word, layout.pending))
            ):
                text = f"{option} {word}: no step, instance or output has this name{self._near(word)}"
                self._lose(word, UsageError(text))
            chosen.update(found or ())
        return chosen

    def wanted(self, targets: Sequence[str]) -> set[int]:
        """Every node that ``targets`` need (all nodes when there are no targets)."""
        graph = self._layout.graph
        if not targets:
            return set(range(len(graph.needs)))
        roots: list[int] = []
        for target in targets:
            roots += self.found(target)
        for step in self.coming(targets):
            roots += graph.by_step.get(root_of(self._layout.pending, step), ())
        return graph.closure(roots)

    def coming(self, targets: Sequence[str]) -> list[str]:
        """The pending steps that ``targets`` may need (all of them when there are no targets), in order."""
        layout = self._layout
        pending = layout.pending
        if not pending or not targets:
            return list(pending)
        if any(
            layout.recipe.step(target) is None and self._may_come(target, layout.relative(target))
            for target in targets
        ):
            return list(pending)
        found = {target for target in targets if target in pending}
        roots = {root_of(pending, step) for step in found}
        # What a target needs may be anything that waits for the same step.
        return [step for step in pending if step in found or root_of(pending, step) in roots]

    def _may_come(self, target: str, path: str) -> bool:
        """Whether ``target``, as a file ``path``, may be an instance or a file that appears when the graph grows."""
        if not self._layout.pending:
            return False
        from f0make.graph.selection import names_step

        return names_step(target, self._layout.pending) or self._layout.expansion.may_come(path)

    def _near(self, word: str) -> str:
        from f0make.suggest import nearest

        graph, recipe = self._layout.graph, self._layout.recipe
        near = nearest(word, [*graph.by_name, *(s.name for s in recipe.steps), *graph.producer])
        return f"; did you mean {near!r}?" if near else f"; see `f0make list {recipe.path}`"

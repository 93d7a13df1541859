"""One expansion of a recipe with the graph of its instances; a graph that grows gets a new one."""

from __future__ import annotations

import os

from f0make.fast_dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.expand.expansion import Expansion
    from f0make.files.link_paths import Passing
    from f0make.graph.build_graph import Graph
    from f0make.model import Recipe


def relative(workspace: str, path: str) -> str:
    """``path`` as graphs name it: relative to ``workspace`` where it lies inside, normalised."""
    absolute = os.path.normpath(os.path.join(workspace, path))
    inside = workspace.rstrip("/") + "/"
    return absolute[len(inside) :] if absolute.startswith(inside) else absolute


@dataclass(slots=True, eq=False)
class Layout:
    """A recipe, its expansion, and the graph of that."""

    workspace: str
    """Absolute path."""
    recipe: Recipe
    expansion: Expansion
    graph: Graph
    passing: Passing
    """What was found of the links that inputs pass."""

    @property
    def pending(self) -> dict[str, str]:
        """Steps without instances yet -> the step that they wait for (`after:`)."""
        return self.expansion.pending

    def relative(self, path: str) -> str:
        """``path`` as the graph names it."""
        return relative(self.workspace, path)

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path``; a dangling link counts."""
        try:
            os.lstat(path if path[:1] == "/" else f"{self.workspace}/{path}")
        except (OSError, ValueError):
            return False
        return True

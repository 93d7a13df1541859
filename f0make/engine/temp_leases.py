"""Who still needs each temp file of a run. Pure: states come in, files that may go come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from f0make.graph.build_graph import Graph
from f0make.model import Instance, Output


class Leases:
    """The temp outputs of the ``wanted`` nodes of ``graph``, each with the nodes that have yet to read it.

    A file that something reads, but nothing that is wanted, is for a later run and stays.
    """

    def __init__(self, graph: Graph, wanted: Iterable[int]) -> None:
        self._outputs: dict[int, list[Output]] = {}
        """Maker -> its temp outputs that may go in this run."""
        self._left: dict[tuple[int, str], set[int]] = {}
        """(maker, path) -> wanted readers that are not done."""
        self._reads: dict[int, list[tuple[int, Output]]] = {}
        """Reader -> (maker, output) of what it reads."""
        wanted = set(wanted)
        for maker in wanted:
            if maker >= len(graph.instances):
                continue
            for output in graph.instances[maker].outputs:
                if output.temp:
                    self._add(graph, wanted, maker, output)

    def _add(self, graph: Graph, wanted: set[int], maker: int, output: Output) -> None:
        readers = [user for user in users(graph, maker) if needs_file(graph, user, maker, output)]
        now = {reader for reader in readers if reader in wanted}
        if readers and not now:
            return
        self._outputs.setdefault(maker, []).append(output)
        self._left[maker, output.path] = now
        for reader in now:
            self._reads.setdefault(reader, []).append((maker, output))

    def taken(self, node: int) -> None:
        """``node`` is to run, whatever it was before: what it reads must be there."""
        for maker, output in self._reads.get(node, ()):
            self._left[maker, output.path].add(node)

    def done(self, node: int) -> Iterator[tuple[int, Output]]:
        """``node`` needs nothing any more; (maker, output) of what nobody needs now, if it is there."""
        for maker, output in self._reads.get(node, ()):
            left = self._left[maker, output.path]
            left.discard(node)
            if not left:
                yield maker, output

    def of(self, maker: int) -> Iterator[Output]:
        """What ``maker`` has made, or can, and nobody needs."""
        for output in self._outputs.get(maker, ()):
            if not self._left[maker, output.path]:
                yield output

    @property
    def makers(self) -> list[int]:
        """The nodes that have temp outputs which may go in this run."""
        return list(self._outputs)


def users(graph: Graph, node: int) -> list[int]:
    """Instances that need ``node``, barriers resolved."""
    found: dict[int, None] = {}
    for user in graph.needed_by[node]:
        for real in graph.needed_by[user] if user in graph.barriers else (user,):
            found[real] = None
    return list(found)


def needs_file(graph: Graph, user: int, maker: int, output: Output) -> bool:
    """Whether ``user`` may read ``output`` of ``maker``: by its inputs, or unseen because it `depends_on` the step."""
    instance = graph.instances[user]
    return graph.instances[maker].step.name in instance.depends_on or reads(graph, instance, output)


def reads(graph: Graph, instance: Instance, output: Output) -> bool:
    """Whether an input of ``instance``, by any of its names, is ``output``, lies in it or around it."""
    return any(
        path == output.path or path.startswith(output.path + "/") or output.path.startswith(path + "/")
        for written in instance.inputs
        for path in (written, *graph.through.get(written, ()))
    )

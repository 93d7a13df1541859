"""When a temp file may go: after its own last reader, never before, whatever the order in which nodes end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from f0make.engine.temp_leases import Leases, needs_file, users
from f0make.graph.build_graph import Graph
from f0make.model import Instance, Output, Step


def instance(name: str, inputs: list[str], outputs: list[Output], after: list[str] | None = None) -> Instance:
    return Instance(name, Step(name, "r.yaml", {}), {}, inputs, outputs, depends_on=after or [])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains of instances that read some of the files of earlier ones; each makes a temp and a kept file."""
    count = draw(st.integers(1, 6))
    found = []
    for n in range(count):
        earlier = [f"{kind}{m}" for m in range(n) for kind in "tk"]
        inputs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        after = draw(st.lists(st.sampled_from([f"s{m}" for m in range(n)]), max_size=1)) if n else []
        found.append(instance(f"s{n}", inputs, [Output(f"t{n}", temp=True), Output(f"k{n}")], after))
    return Graph(found)


@given(graphs(), st.data())
def test_a_file_goes_when_its_own_last_reader_is_done(graph: Graph, data: st.DataObject) -> None:
    everything = range(len(graph.instances))
    roots = data.draw(st.lists(st.sampled_from(list(everything)), min_size=1, unique=True))
    wanted = {n for n in graph.closure(roots) if n < len(graph.instances)}
    leases = Leases(graph, wanted)
    done: set[int] = set()
    for node in [n for n in graph.order if n in wanted]:
        leases.taken(node)
        gone = {(maker, output.path) for maker, output in leases.done(node)}
        done.add(node)
        for maker in wanted:
            output = graph.instances[maker].outputs[0]
            readers = [u for u in users(graph, maker) if needs_file(graph, u, maker, output)]
            now = [u for u in readers if u in wanted]
            free = (bool(now) or not readers) and done.issuperset(now)
            assert [o.path for o in leases.of(maker)] == ([output.path] if free else [])
            assert ((maker, output.path) in gone) == (node in now and free)


def test_one_that_must_run_again_needs_its_files_again() -> None:
    maker = instance("m", [], [Output("t", temp=True)])
    graph = Graph([maker, instance("a", ["t"], [Output("a")]), instance("b", ["t"], [Output("b")])])
    leases = Leases(graph, {0, 1, 2})
    assert list(leases.done(1)) == []
    leases.taken(1)
    assert list(leases.done(2)) == []
    assert [output.path for _, output in leases.done(1)] == ["t"]


def test_readers_of_what_lies_in_a_directory() -> None:
    maker = instance("m", [], [Output("d", directory=True, temp=True), Output("e/f", temp=True)])
    graph = Graph([maker, instance("a", ["d/x"], []), instance("b", ["e"], [])])
    leases = Leases(graph, {0, 1, 2})
    assert [output.path for _, output in leases.done(1)] == ["d"]
    assert [output.path for _, output in leases.done(2)] == ["e/f"]

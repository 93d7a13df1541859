"""Order, layers, cycles: the linear walks agree with toposort, the authority."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toposort import CircularDependencyError, toposort

from f0make.dependency_graph import CycleError, DependencyGraph
from f0make.errors import Problem
from f0make.graph.build_graph import Graph
from f0make.graph.graph_order import (
    closure,
    dependents,
    find_cycle,
    find_cycles,
    in_order,
    layers,
    topological,
)
from f0make.model import Instance, Output, PathDecl, Step

graphs = st.integers(1, 25).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size - 1), max_size=4, unique=True), min_size=size, max_size=size
    )
)


def acyclic(needs: list[list[int]]) -> list[list[int]]:
    return [[n for n in wanted if n < node] for node, wanted in enumerate(needs)]


@given(graphs)
def test_layers_are_those_of_toposort(needs: list[list[int]]) -> None:
    needs = acyclic(needs)
    expected = [sorted(layer) for layer in toposort({n: set(w) for n, w in enumerate(needs)})]
    assert layers(needs) == expected


@given(graphs, st.randoms())
def test_order_respects_every_need_and_prefers_low_rank(needs: list[list[int]], random: object) -> None:
    needs = acyclic(needs)
    order = topological(needs, lambda n: -n)
    assert sorted(order) == list(range(len(needs)))
    position = {node: place for place, node in enumerate(order)}
    assert all(position[other] < position[node] for node, wanted in enumerate(needs) for other in wanted)
    free_at_first = [n for n, wanted in enumerate(needs) if not wanted]
    assert order[0] == max(free_at_first)


@given(graphs)
def test_a_cycle_is_found_exactly_when_toposort_finds_one_or_a_node_needs_itself(
    needs: list[list[int]],
) -> None:
    try:
        list(toposort({n: set(w) for n, w in enumerate(needs)}))
        has_cycle = any(n in wanted for n, wanted in enumerate(needs))
    except CircularDependencyError:
        has_cycle = True
    cycle = find_cycle(needs)
    assert (cycle is not None) == has_cycle
    if cycle:
        following = [*cycle[1:], cycle[0]]
        assert all(after in needs[node] for node, after in zip(cycle, following, strict=True))
        assert len(set(cycle)) == len(cycle) and cycle[0] == min(cycle)


@given(graphs)
def test_breaking_every_cycle_that_is_reported_leaves_none(needs: list[list[int]]) -> None:
    cycles = find_cycles(needs, most=100)
    members = [node for cycle in cycles for node in cycle]
    assert len(set(members)) == len(members)
    broken = [[] if node in members else wanted for node, wanted in enumerate(needs)]
    assert find_cycle(broken) is None


@given(graphs)
def test_dependents_and_closure_invert_and_follow_needs(needs: list[list[int]]) -> None:
    inverse = dependents(needs)
    assert all(node in inverse[other] for node, wanted in enumerate(needs) for other in wanted)
    reached = closure(needs, [0])
    assert 0 in reached and all(other in reached for node in reached for other in needs[node])


def test_tasks_in_order_and_the_real_cycle() -> None:
    graph = DependencyGraph()
    graph.add_task("c", ["b"])
    graph.add_task("b", ["a"])
    assert graph.get_task_order() == ["a", "b", "c"]
    assert graph.layers() == [["a"], ["b"], ["c"]]
    assert '"b" -> "c"' in graph.visualize()
    graph.add_task("a", ["c"])
    graph.add_task("innocent", ["c"])
    with pytest.raises(CycleError) as error:
        graph.get_task_order()
    assert sorted(error.value.cycle) == ["a", "b", "c"]
    alone = DependencyGraph()
    alone.add_task("x", ["x"])
    with pytest.raises(CycleError, match="x -> x"):
        alone.layers()


@given(st.integers(480, 620))
def test_both_ways_of_layering_meet_at_the_limit(size: int) -> None:
    graph = DependencyGraph()
    for n in range(size):
        graph.add_task(f"t{n}", [f"t{n // 2}"] if n else [])
    order = graph.get_task_order()
    assert order.index("t1") < order.index("t2") < order.index("t5")
    assert len(order) == size


def test_a_chain_of_twenty_thousand_is_no_trouble() -> None:
    needs = [[n - 1] if n else [] for n in range(20_000)]
    assert topological(needs) == list(range(20_000))
    assert len(layers(needs)) == 20_000


def instance(name: str, inputs: list[str], outputs: list[Output], after: list[str] | None = None) -> Instance:
    step = Step(name, "r.yaml", {"": (3, 5, 9), "inputs[0]": (4, 9, 4)})
    step.inputs = [PathDecl(path, f"inputs[{n}]") for n, path in enumerate(inputs)]
    return Instance(name, step, {}, inputs, outputs, depends_on=after or [])


def test_edges_come_from_outputs_directories_and_names() -> None:
    graph = Graph(
        [
            instance("use", ["made", "dir/x/y", "tree"], [Output("end")], ["first"]),
            instance("file", [], [Output("made")]),
            instance("folder", [], [Output("dir", directory=True)]),
            instance("inside", [], [Output("tree/leaf")]),
            instance("first", [], []),
        ]
    )
    assert graph.needs[0] == [1, 2, 3, 4]
    assert graph.order[-1] == 0
    assert graph.producer_of("dir/a") == 2 and graph.producer_of("directory") is None


def test_what_needs_itself_is_a_cycle_and_says_so() -> None:
    graph = Graph([instance("a", ["x"], [Output("x")])])
    assert "needs its own output" in str(graph.cycles()[0])


def test_a_cycle_names_every_member_with_its_place() -> None:
    graph = Graph([instance("a", ["y"], [Output("x")]), instance("b", ["x"], [Output("y")])])
    (problem,) = graph.cycles()
    assert "a (r.yaml:3:5) needs b (r.yaml:3:5) needs a" in problem.message


def test_a_missing_input_is_named_with_its_place_but_only_where_it_is_needed() -> None:
    graph = Graph([instance("a", ["nowhere"], [Output("x")])])
    (missing,) = graph.missing_inputs({0}, lambda _: False)
    assert isinstance(missing.problem, Problem)
    assert missing.path == "nowhere" and str(missing.problem.where) == "r.yaml:4:9"
    assert graph.missing_inputs(set(), lambda _: False) == []


def test_wide_steps_meet_at_a_barrier() -> None:
    first = Step("first", "r.yaml", {})
    then = Step("then", "r.yaml", {})
    makers = [Instance(f"first[n={n}]", first, {}, [], [Output(f"a{n}")]) for n in range(100)]
    users = [
        Instance(f"then[n={n}]", then, {}, [], [Output(f"b{n}")], depends_on=["first"]) for n in range(100)
    ]
    graph = Graph(makers + users)
    assert sum(map(len, graph.needs)) == 200
    assert graph.real_needs(150) == list(range(100))
    assert graph.order.index(199) > graph.order.index(0)


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=30))
def test_a_graph_already_in_order_stays_as_it_is(raw: list[list[int]]) -> None:
    needs = [[other % node for other in wanted] if node else [] for node, wanted in enumerate(raw)]
    assert in_order(needs)
    assert topological(needs) == list(range(len(needs)))
    if len(needs) > 1:
        assert not in_order([[1], *needs[1:]])

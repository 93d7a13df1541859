"""Which instance goes next, and how many at one time."""

from __future__ import annotations

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


def test_resources_are_limits(traced: Traced) -> None:
    """Never do more run at one time than the limits allow, whatever -j says."""
    count = "n=$(ls running | wc -l); echo $n >> seen; sleep 0.1; rm running/$$"
    traced.write("running/.keep", "")
    traced.recipe(
        "steps:\n"
        "  - name: a\n    foreach:\n      n:\n        range: 1..6\n"
        "    resources:\n      licence: 1\n"
        f"    run: 'touch running/$$; {count}'\n"
    )
    traced.run("-j4", "--resource", "licence=2")
    assert max(map(int, traced.read("seen").split())) <= 2
    traced.remove("seen")
    traced.edit("recipe.yaml", "licence: 1", "cpu: 2")
    traced.run("-j4", "--force", "a", "--resource", "cpu=2")
    assert max(map(int, traced.read("seen").split())) == 1
    # A number of CPUs beyond -j runs alone rather than never.
    traced.edit("recipe.yaml", "cpu: 2", "cpu: 64")
    assert traced.run("-j2", "--force", "a").summary["ran"] == 6


def test_resources_are_seen_by_templates(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    resources:\n      cpu: 2\n      mem: 2GB\n      tapes: 3\n    outputs: o\n"
        "    run: echo ${{ resources.cpu }} ${{ resources.mem }} ${{ resources.tapes }} > o\n"
    )
    traced.run("-j2")
    assert traced.read("o") == "2 2000000000 3\n"


def test_order_by_priority_and_idx(traced: Traced) -> None:
    step = "  - name: {0}\n{1}    run: echo {0} >> order\n"
    traced.recipe(
        "steps:\n"
        + step.format("d", "")
        + step.format("c", "    idx: 2\n")
        + step.format("b", "    idx: 1\n")
        + step.format("a", "    priority: 5\n    idx: 9\n")
        + step.format("e", "    priority: -1\n")
    )
    traced.run("-j1")
    order = traced.read("order").split()
    assert order[0] == "a" and order[-1] == "e" and order.index("b") < order.index("c")


def test_instances_run_side_by_side(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..2\n"
        "    run: touch here${{ n }}; for i in $(seq 200); do [ -e here1 ] && [ -e here2 ] && exit 0; sleep 0.02; done; exit 1\n"
    )
    assert traced.run("-j2").summary["ran"] == 2


def test_j1_runs_one_after_the_other(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..4\n"
        "    run: echo begin >> log; sleep 0.05; echo end >> log\n"
    )
    traced.run("-j1")
    assert traced.read("log").split() == ["begin", "end"] * 4


def test_critical_paths_come_first(traced: Traced) -> None:
    """With more than one slot, what most is waiting for is started first; an idx somewhere has all ready ones ranked."""
    chain = "".join(
        f"  - name: c{n}\n    inputs: {f'c{n - 1}.txt' if n else '[]'}\n    outputs: c{n}.txt\n    run: sleep 0.05; touch c{n}.txt\n"
        for n in range(4)
    ).replace("    inputs: []\n", "")
    traced.recipe(
        "steps:\n"
        + "".join(f"  - name: s{n}\n    run: echo s{n} >> order; sleep 0.02\n" for n in range(4))
        + chain.replace("run: sleep", "run: echo c >> order; sleep")
    )
    traced.edit("recipe.yaml", "  - name: s0\n", "  - name: s0\n    idx: -1\n")
    traced.run("-j2")
    assert "c" in traced.read("order").split()[:2]

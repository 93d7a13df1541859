"""Which instances of a pattern step another step gathers never depends on what else is asked for."""

from __future__ import annotations

import pytest

from tests.support.f0 import F0

SORT = """\
steps:
  - name: sort
    inputs: in/${{ n }}.txt
    outputs: out/${{ n }}.txt
    run: sort ${{ inputs }} > ${{ outputs }}
"""


def gather(value: str, key: str = "inputs", more: str = "") -> str:
    body = {"inputs": f"    inputs: {value}\n", "run": ""}[key]
    run = "cat ${{ inputs }} > all.txt" if key == "inputs" else f"echo {value} > all.txt"
    return f"{SORT}  - name: gather\n{body}    outputs: all.txt\n    run: {run}\n{more}"


@pytest.fixture
def files(f0: F0) -> F0:
    (f0.workspace / "in").mkdir()
    for n in ("1", "2", "3", "a b"):
        (f0.workspace / "in" / f"{n}.txt").write_text(f"{n}\n")
    return f0


def write(f0: F0, text: str) -> None:
    (f0.workspace / "recipe.yaml").write_text(text)


def read(f0: F0) -> str:
    return (f0.workspace / "all.txt").read_text()


@pytest.mark.parametrize(
    "value", ["${{ steps.sort.outputs }}", "${{ steps.sort.inputs }}", "${{ steps.sort.outputs[0] }}"]
)
@pytest.mark.parametrize("targets", [(), ("out/1.txt", "gather"), ("sort[n=1]", "all.txt")])
def test_all_instances_of_a_pattern_step_are_no_answer(files: F0, value: str, targets: tuple[str]) -> None:
    write(files, gather(value))
    refused = files.run(*targets, code=2)
    assert "recipe.yaml:7:13: gather.inputs: `sort` is a pattern step" in refused.stderr
    assert "`steps.sort(n=…).outputs`" in refused.stderr
    assert files("validate", "recipe.yaml").code == 2
    assert not (files.workspace / "all.txt").exists()


def test_in_a_command_too(files: F0) -> None:
    write(files, gather("${{ steps.sort.outputs }}", "run"))
    assert "gather.run: `sort` is a pattern step" in files.run(code=2).stderr


@pytest.mark.parametrize("targets", [(), ("all.txt",), ("gather", "out/3.txt"), ("sort[n=3]", "gather")])
def test_named_instances_are_asked_for(files: F0, targets: tuple[str]) -> None:
    write(files, gather("${{ steps.sort(n=['2', '1', '2', 'a b']).outputs }}"))
    states = files.run(*targets).states
    assert {"sort[n=1]", "sort[n=2]", "sort[n=a b]", "gather"} <= states.keys()
    assert ("sort[n=3]" in states) == (len(targets) == 2)
    assert read(files) == "2\n1\na b\n"
    assert set(files.run().states.values()) == {"current"}


def test_one_value_values_of_config_and_numbers(files: F0) -> None:
    text = "config:\n  samples:\n    - 1\n    - 3\n" + gather("${{ steps.sort(n=config.samples).outputs }}")
    write(files, text)
    files.run()
    assert read(files) == "1\n3\n"
    write(files, gather("${{ steps.sort(n=2).outputs }}"))
    files.run()
    assert read(files) == "2\n"


def test_the_product_of_several_variables_in_order(f0: F0) -> None:
    pattern = (
        "wildcards:\n  size: \"[0-9]+\"\nsteps:\n  - name: thumb\n    foreach:\n      kind:\n        - x\n        - y\n"
        "    outputs: ${{ size }}/${{ name }}.${{ kind }}\n    run: echo ${{ step.instance }} > ${{ outputs }}\n"
        "  - name: gather\n    inputs: ${{ steps.thumb(name=['b', 'a'], kind='y', size=[8, 16]).outputs }}\n"
        "    outputs: all.txt\n    run: echo ${{ inputs }} > all.txt\n"
    )  # fmt: skip
    write(f0, pattern)
    f0.run()
    assert read(f0) == "8/b.y 8/a.y 16/b.y 16/a.y\n"
    for wrong, message in [
        ("name='b', kind='y'", "values for `size`"),
        ("name='b', kind='z', size=8", "no instance of step `thumb` has kind='z'"),
        ("name='b', kind='y', size='big'", "'big' does not match the wildcard `size`"),
        ("name='b/c', kind='y', size=8", "'b/c' does not match the wildcard `name`"),
        ("name='b', kind='y', size=8, nam=1", "no variable `nam`"),
    ]:
        write(f0, pattern.replace("name=['b', 'a'], kind='y', size=[8, 16]", wrong))
        assert message in f0.run(code=2).stderr


@pytest.mark.parametrize("where", ["run", "foreach", "env", "when", "outputs"])
def test_asked_for_anywhere(files: F0, where: str) -> None:
    ask = "${{ steps.sort(n=['1']).outputs }}"
    user = {
        "run": f"  - name: use\n    depends_on: sort\n    outputs: all.txt\n    run: cat {ask} > all.txt\n",
        "foreach": f"  - name: use\n    foreach:\n      f:\n        - {ask}\n    inputs: ${{{{ f }}}}\n    outputs: all.txt\n    run: cat ${{{{ f }}}} > all.txt\n",
        "env": f"  - name: use\n    depends_on: sort\n    env:\n      F: {ask}\n    outputs: all.txt\n    run: cat $F > all.txt\n",
        "when": f"  - name: use\n    depends_on: sort\n    when: {ask}\n    outputs: all.txt\n    run: cat out/1.txt > all.txt\n",
        "outputs": "  - name: use\n    depends_on: sort\n    outputs: ${{ steps.sort(n='1').outputs }}.copy\n    run: cp out/1.txt ${{ outputs }}; cp out/1.txt all.txt\n",
    }[where]
    write(files, SORT + user)
    assert files.run().states["sort[n=1]"] == "ran"
    assert read(files) == "1\n"
    files.run("out/3.txt")
    assert files.run().summary["current"] >= 2


def test_waiting_for_a_pattern_step_without_instances(files: F0) -> None:
    use = "  - name: use\n    depends_on: sort\n    outputs: all.txt\n    run: echo > all.txt\n"
    other = "  - name: other\n    outputs: other.txt\n    run: echo > other.txt\n"
    write(files, SORT + use + other)
    for verb in ("validate", "plan", "run"):
        refused = files(verb, "recipe.yaml")
        assert (
            "use.depends_on: sort is a pattern step, and nothing asks for an instance of it" in refused.stderr
        )
    assert not (files.workspace / "all.txt").exists()
    assert files.run("other").states == {"other": "ran"}
    assert files.run("use", "out/1.txt").states == {"sort[n=1]": "ran", "use": "ran"}
    write(files, SORT + use + other.replace("    outputs", "    inputs: out/2.txt\n    outputs"))
    assert files.run().states == {"sort[n=2]": "ran", "use": "current", "other": "ran"}


def test_patterns_that_ask_for_patterns(files: F0) -> None:
    chain = (
        SORT
        + "  - name: pair\n    inputs: ${{ steps.sort(n=[a, b]).outputs }}\n    outputs: pair/${{ a }}-${{ b }}\n"
        + "    run: cat ${{ inputs }} > ${{ outputs }}\n"
        + "  - name: gather\n    inputs: ${{ steps.pair(a='1', b=['2', '3']).outputs }}\n    outputs: all.txt\n"
        + "    run: cat ${{ inputs }} > all.txt\n"
    )
    write(files, chain)
    assert len(files.run().states) == 6
    assert read(files) == "1\n2\n1\n3\n"


def test_what_is_asked_for_must_be_possible(files: F0) -> None:
    write(files, gather("${{ steps.sort(n=['1', 'none']).outputs }}"))
    assert "input 'in/none.txt' of sort[n=none] does not exist" in files.run(code=2).stderr
    circle = SORT.replace("inputs: in/${{ n }}.txt", "inputs: ${{ steps.sort(n=n).outputs }}")
    write(files, circle)
    assert "'out/1.txt'" in files.run("out/1.txt", code=2).stderr


def test_a_pattern_step_is_no_target(files: F0) -> None:
    write(files, SORT)
    assert "'sort' is a pattern step" in files.run("sort", code=2).stderr
    write(files, gather("${{ steps.sort(n='1').outputs }}"))
    assert files.run("sort").states == {"sort[n=1]": "ran"}


def test_asked_for_by_what_appears_later(f0: F0) -> None:
    write(
        f0,
        "steps:\n  - name: split\n    outputs: parts/\n    run: mkdir parts; echo 1 > parts/x; echo 2 > parts/y\n"
        "  - name: up\n    inputs: parts/${{ n }}\n    outputs: up/${{ n }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: each\n    foreach:\n      p:\n        glob: parts/${{ p }}\n        after: split\n"
        "    inputs: ${{ steps.up(n=p).outputs }}\n    outputs: each/${{ p }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: all\n    inputs: ${{ steps.each.outputs }}\n    outputs: all.txt\n    run: cat ${{ inputs }} > all.txt\n",
    )
    assert len(f0.run().states) == 6
    assert read(f0) == "1\n2\n"
    assert set(f0.run().states.values()) == {"current"}

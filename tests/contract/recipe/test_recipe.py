"""The recipe as a whole: strict text, all errors at their true places, and every key of the top level."""

from __future__ import annotations

import json

import pytest

from tests.support.f0 import F0


def errors(f0: F0, text: str, *more: str) -> str:
    """What `validate` says about a recipe that is wrong."""
    f0.recipe(text)
    result = f0("validate", "recipe.yaml", *more)
    assert result.code == 2, result
    assert f0("run", "recipe.yaml").code == 2
    return result.stderr


STEP = "steps:\n  - name: a\n    run: echo a\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("steps: []\n", "recipe.yaml:1", ""),
        ("steps:\n  - {name: a}\n", "recipe.yaml:2", ""),
        ("steps: &x\n  - name: a\n    run: echo\n", "recipe.yaml:1", ""),
        ("steps:\n  - name: a\n    run: echo\nconfig:\n  x: !!int 3\n", "recipe.yaml:5", ""),
        (STEP + "    run: echo b\n", "recipe.yaml:4", "run"),
        (STEP + "    inptus: x\n", "recipe.yaml:4:5", "inputs"),
        (STEP + "stpes: x\n", "recipe.yaml:4:1", "steps"),
        (STEP + "    retries: often\n", "recipe.yaml:4:14", "retries"),
        (STEP + "    timeout: soon\n", "recipe.yaml:4:14", "timeout"),
        (STEP + "    cache: maybe\n", "recipe.yaml:4:12", "cache"),
        (STEP + "    type: python\n", "recipe.yaml:", "type"),
        (STEP + "    module: m\n", "recipe.yaml:", "module"),
        (STEP + "    combine: sum\n", "recipe.yaml:4:14", "combine"),
        (STEP + "    resources:\n      mem: much\n", "recipe.yaml:5:12", "mem"),
        (STEP + "    depends_on: b\n", "recipe.yaml:4", "b"),
        ("steps:\n  - name: 1a\n    run: echo\n", "recipe.yaml:2:11", "1a"),
        (STEP + "  - name: a\n    run: echo b\n", "recipe.yaml:4", "a"),
        ("config:\n  a: 1\n", "recipe.yaml:1", "steps"),
        ("steps:\n  - run: echo\n", "recipe.yaml:2", "name"),
        (STEP + "\tx: y\n", "recipe.yaml:4", ""),
        (STEP + "    inputs: nowhere.txt\n", "recipe.yaml:4", "nowhere.txt"),
        (STEP + "    outputs: /tmp/x\n", "recipe.yaml:4", "/tmp/x"),
        (STEP + "    outputs: ../x\n", "recipe.yaml:4", "../x"),
        (STEP + "    outputs: x/../../y\n", "recipe.yaml:4", "y"),
        (STEP + "    outputs: ./\n", "recipe.yaml:4", ""),
        (STEP + "    outputs: .f0make/x\n", "recipe.yaml:4", ".f0make"),
        (STEP + "    outputs: recipe.yaml\n", "recipe.yaml:4", "recipe.yaml"),
        (STEP + "    env:\n      A: ${{ nothing }}\n", "recipe.yaml:5", "nothing"),
        (STEP + "    fingerprint:\n      - echo ${{ 1 + }}\n", "recipe.yaml:5", ""),
        (
            "steps:\n  - name: a\n    run: |\n      echo one\n      echo two ${{ nothing }}\n",
            "recipe.yaml:5",
            "nothing",
        ),
        ("steps:\n  - name: g\n    outputs: x\n", "recipe.yaml:3:14", "outputs"),
        (STEP + "targets: b\n", "recipe.yaml:4", "b"),
    ],
)
def test_errors_name_their_place_and_key(f0: F0, text: str, place: str, said: str) -> None:
    found = errors(f0, text)
    assert place in found and said in found.partition(place)[2], found


def test_all_errors_are_reported_in_one_go(f0: F0) -> None:
    found = errors(
        f0,
        "steps:\n"
        "  - name: a\n"
        "    inptus: x\n"
        "    run: echo ${{ undefined_one }}\n"
        "  - name: b\n"
        "    retries: many\n"
        "    run: |\n"
        "      echo fine\n"
        "      echo ${{ undefined_two }}\n"
        "  - name: c\n"
        "    inputs: missing.txt\n"
        "    outputs: same.txt\n"
        "    run: echo\n"
        "  - name: d\n"
        "    outputs: same.txt\n"
        "    run: echo\n"
        "  - name: e\n"
        "    depends_on: f\n"
        "    run: echo\n"
        "  - name: f\n"
        "    depends_on: e\n"
        "    run: echo\n",
    )
    for part in (
        "recipe.yaml:3",
        "recipe.yaml:4",
        "undefined_one",
        "recipe.yaml:6",
        "recipe.yaml:9",
        "undefined_two",
    ):
        assert part in found, (part, found)
    for part in ("recipe.yaml:11", "missing.txt", "same.txt", "cycle"):
        assert part in found, (part, found)


GRAPH_ERRORS = {
    "cycle by files": (
        "steps:\n"
        "  - name: one\n    inputs: c\n    outputs: a\n    run: touch a\n"
        "  - name: two\n    inputs: a\n    outputs: b\n    run: touch b\n"
        "  - name: three\n    inputs: b\n    outputs: c\n    run: touch c\n",
        ["one", "two", "three", "cycle"],
    ),
    "cycle by depends_on": (
        "steps:\n  - name: one\n    depends_on: two\n    run: a\n  - name: two\n    depends_on: one\n    run: b\n",
        ["one", "two", "cycle"],
    ),
    "itself": ("steps:\n  - name: one\n    inputs: a\n    outputs: a\n    run: touch a\n", ["one", "cycle"]),
    "same output": (
        "steps:\n  - name: one\n    outputs: x/a\n    run: a\n  - name: two\n    outputs: ./x//a\n    run: b\n",
        ["one", "two", "x/a", "recipe.yaml:3", "recipe.yaml:6"],
    ),
    "same output of two instances": (
        "steps:\n  - name: one\n    foreach:\n      n:\n        - x\n        - y\n    outputs: same\n    run: a\n",
        ["one[n=x]", "one[n=y]", "same"],
    ),
    "output inside an output directory": (
        "steps:\n  - name: one\n    outputs: d/\n    run: a\n  - name: two\n    outputs: d/e/f\n    run: b\n",
        ["one", "two", "d/e/f"],
    ),
    "resource above the limit": (
        "steps:\n  - name: one\n    resources:\n      licence: 3\n    run: a\n",
        ["one", "licence", "recipe.yaml:4"],
    ),
}


@pytest.mark.parametrize("what", GRAPH_ERRORS, ids=lambda w: w.replace(" ", "-"))
def test_errors_of_the_graph_name_all_steps(f0: F0, what: str) -> None:
    text, parts = GRAPH_ERRORS[what]
    f0.recipe(text)
    limit = ["--resource", "licence=2"] if "licence" in text else []
    result = f0("run", "recipe.yaml", *limit)
    assert result.code == 2
    for part in parts:
        assert part in result.stderr, (part, result.stderr)


def test_a_missing_input_counts_only_where_the_targets_need_it(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: fine\n    outputs: a\n    run: touch a\n"
        "  - name: broken\n    inputs: nowhere\n    outputs: b\n    run: touch b\n"
    )
    assert f0.run("fine").states == {"fine": "ran"}
    result = f0("run", "recipe.yaml")
    assert result.code == 2 and "nowhere" in result.stderr and "broken" in result.stderr


def test_a_step_may_read_what_its_other_instances_make(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: chain\n    foreach:\n      n:\n        range: 1..4\n"
        "    inputs: ${{ [] if n | int == 1 else ['c' ~ (n | int - 1)] }}\n"
        "    outputs: c${{ n }}\n    run: echo ${{ n }} | cat ${{ inputs }} - > c${{ n }}\n"
    )
    assert set(f0.run("c4").states) == {f"chain[n={n}]" for n in range(1, 5)}
    assert f0.read("c4") == "1\n2\n3\n4\n"


def test_only_yaml_syntax_stops_at_the_first(f0: F0) -> None:
    found = errors(f0, "steps:\n  - name: a\n   run: x\n    bad: y\n")
    assert "recipe.yaml:3" in found


def test_a_recipe_that_is_not_there_or_not_text(f0: F0) -> None:
    assert f0("run", "nowhere.yaml").code == 2
    (f0.workspace / "directory.yaml").mkdir()
    assert f0("run", "directory.yaml").code == 2
    f0.write("binary.yaml", b"\xff\xfe\x00\x01")
    result = f0("run", "binary.yaml")
    assert result.code == 2 and "binary.yaml" in result.stderr
    f0.write("empty.yaml", "")
    assert f0("run", "empty.yaml").code == 2


# Keys of the top level.


def test_config_and_its_overrides(f0: F0) -> None:
    f0.recipe(
        "config:\n  plain: one\n  nested:\n    deep: two\n    list:\n      - x\n      - y z\n"
        "steps:\n  - name: a\n    outputs: o\n"
        "    run: echo ${{ config.plain }} ${{ config.nested.deep }} ${{ config['nested'].list }} > o\n"
    )
    f0.run()
    assert f0.read("o") == "one two x y z\n"
    f0.run("--set", "nested.deep=2", "--set", "plain=a b")
    assert f0.read("o") == "a b 2 x y z\n"
    f0.write("more.yaml", "plain: from file\nnested:\n  deep: file too\n")
    f0.run("--config", "more.yaml")
    assert f0.read("o") == "from file file too x y z\n"
    f0.run("--config", "more.yaml", "--set", "plain=set wins")
    assert f0.read("o") == "set wins file too x y z\n"
    assert f0.run().states == {"a": "restored"} and f0.read("o") == "one two x y z\n"
    assert f0("run", "recipe.yaml", "--config", "nowhere.yaml").code == 2
    assert f0("run", "recipe.yaml", "--set", "nothing").code == 2


def test_env_and_defaults_reach_every_step(f0: F0) -> None:
    f0.recipe(
        "env:\n  A: top\n  B: top\n"
        "defaults:\n  env:\n    B: default\n    C: default\n  retries: 1\n"
        "steps:\n"
        "  - name: one\n    outputs: one\n    run: echo $A $B $C > one\n"
        "  - name: two\n    outputs: two\n    env:\n      C: own\n    run: echo $A $B $C > two\n"
        "  - name: three\n    run: '[ ${{ attempt }} = 2 ]'\n"
        "  - name: four\n    retries: 0\n    run: '[ ${{ attempt }} = 2 ]'\n"
    )
    result = f0.run("-k", code=1)
    assert result.states == {"one": "ran", "two": "ran", "three": "ran", "four": "failed"}
    assert f0.read("one") == "top default default\n" and f0.read("two") == "top default own\n"


def test_default_timeout_and_cache(f0: F0) -> None:
    f0.recipe(
        "defaults:\n  timeout: 0.3\n  cache: no\n"
        "steps:\n  - name: slow\n    run: sleep 20\n  - name: quick\n    outputs: q\n    run: touch q\n"
    )
    result = f0.run("-k", code=1)
    assert result.states == {"slow": "failed", "quick": "ran"} and "timed out" in result.reasons["slow"]
    (f0.workspace / "q").unlink()
    assert f0.run("quick").states == {"quick": "ran"}


def test_the_default_shell_is_strict(f0: F0) -> None:
    f0.recipe(
        "steps:\n"
        "  - name: e\n    run: |\n      false\n      true\n"
        "  - name: u\n    run: echo $UNSET_VARIABLE_OF_THIS_TEST\n"
        "  - name: pipefail\n    run: false | true\n"
        "  - name: bash\n    run: '[[ a == a ]]'\n"
        "  - name: multi\n    run: |\n      x=1\n      [ $x = 1 ]\n"
    )
    states = f0.run("-k", code=1).states
    assert states == {"e": "failed", "u": "failed", "pipefail": "failed", "bash": "ran", "multi": "ran"}


def test_another_shell(f0: F0) -> None:
    f0.recipe(
        "shell: sh -u\n"
        "steps:\n"
        "  - name: lax\n    run: |\n      false\n      true\n"
        "  - name: strict\n    shell: bash -eu\n    run: |\n      false\n      true\n"
        "  - name: python\n    shell: python3\n    outputs: p\n    run: open('p', 'w').write('1')\n"
        "  - name: none\n    shell: no-such-shell-anywhere\n    run: 'true'\n"
    )
    result = f0.run("-k", code=1)
    assert result.states == {"lax": "ran", "strict": "failed", "python": "ran", "none": "failed"}
    assert "no-such-shell-anywhere" in result.stderr


def test_sh_where_there_is_no_bash(f0: F0) -> None:
    tools = f0.workspace.parent / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "ls", "rm"):
        (tools / name).symlink_to(f"/bin/{name}")
    f0.recipe(
        "steps:\n  - name: a\n    outputs: o\n    run: |\n      echo hi > o\n      cat o\n"
        "  - name: b\n    run: |\n      false\n      true\n"
        "  - name: c\n    run: echo $UNSET_VARIABLE_OF_THIS_TEST\n"
    )
    states = f0.run("-k", code=1, env={"PATH": str(tools)}).states
    assert states == {"a": "ran", "b": "failed", "c": "failed"}


def test_targets(f0: F0) -> None:
    f0.recipe(
        "targets:\n  - two\n  - three.txt\n"
        "steps:\n"
        + "".join(
            f"  - name: {n}\n    outputs: {n}.txt\n    run: touch {n}.txt\n" for n in ("one", "two", "three")
        )
    )
    assert set(f0.run().states) == {"two", "three"}
    assert set(f0.run("one").states) == {"one"}
    f0.recipe(f0.read("recipe.yaml").replace("targets:\n  - two\n  - three.txt\n", ""))
    assert set(f0.run().states) == {"one", "two", "three"}


def test_include(f0: F0) -> None:
    f0.write(
        "first.yaml",
        "config:\n  a: first\n  b: first\nsteps:\n  - name: one\n    run: echo ${{ config.a }} > one\n    outputs: one\n",
    )
    f0.write("second.yaml", "steps:\n  - name: two\n    inputs: one\n    run: cp one two\n    outputs: two\n")
    f0.recipe(
        "include:\n  - first.yaml\n  - second.yaml\nconfig:\n  a: main\n"
        "steps:\n  - name: three\n    inputs: two\n    run: cp two three; echo ${{ config.b }} >> three\n    outputs: three\n"
    )
    assert set(f0.run().states.values()) == {"ran"} and f0.read("three") == "main\nfirst\n"
    f0.write("second.yaml", "steps:\n  - name: one\n    run: echo\n")
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "first.yaml:" in result.stderr and "second.yaml:2" in result.stderr
    f0.write("second.yaml", "steps:\n  - name: two\n    rnu: echo\n")
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "second.yaml:3" in result.stderr and "run" in result.stderr
    f0.write("second.yaml", "include: recipe.yaml\nsteps:\n  - name: two\n    run: echo\n")
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "second.yaml" in result.stderr
    f0.recipe("include: nowhere.yaml\n" + STEP)
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "nowhere.yaml" in result.stderr and "recipe.yaml:1" in result.stderr


def test_test_meta_is_carried_along(f0: F0) -> None:
    f0.recipe("test_meta:\n  test_id: HW-001\n  tester: bob\n  description: a test\n" + STEP)
    f0.run()
    assert "HW-001" in f0.read(".f0make/records.log")
    assert "HW-001" in json.dumps([json.loads(line) for line in f0("history", "--json").stdout.splitlines()])
    found = errors(f0, "test_meta:\n  test_idd: x\n" + STEP)
    assert "recipe.yaml:2" in found and "test_id" in found


def test_no_implicit_types(f0: F0) -> None:
    f0.recipe(
        'config:\n  no: no\n  number: 007\n  version: 1.10\n  date: 2020-01-01\n  null: null\n  quoted: "a\\tb"\n'
        "steps:\n  - name: a\n    outputs: o\n    env:\n      YES: yes\n"
        "    run: echo ${{ config.no }} ${{ config.number }} ${{ config.version }} ${{ config.date }} "
        "${{ config.null }} $YES > o; printf %s ${{ config.quoted }} >> o\n"
    )
    f0.run()
    assert f0.read("o") == "no 007 1.10 2020-01-01 null yes\na\tb"

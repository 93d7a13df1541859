"""Recipe files to recipes: shorthands, defaults, includes, config, places, and what no file should be."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from f0make.errors import RecipeError, UsageError, Where
from f0make.model import PathDecl, Recipe
from f0make.recipe.load_recipe import load_recipe, load_with_problems

HELLO = """\
# orchestrator/recipes/hello_world.yaml
test_meta:
  test_id: HW-001
  tester: bob
  description: "Hello World step"
steps:
  - idx: 1
    name: hello_world
    type: python
    module: scriptlets.steps.hello_world
    function: HelloWorld
    args:
      message: "Hello, World!"
    success:
      ctx_has_keys:
        - hello_world.output
"""


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def load(folder: Path, text: str, **options: list[str]) -> Recipe:
    write(folder, "recipe.yaml", text)
    return load_recipe("recipe.yaml", str(folder), **options)  # type: ignore[arg-type]


def problems(folder: Path, name: str = "recipe.yaml") -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, str(folder))
    return [str(problem) for problem in caught.value.problems]


def test_hello_world_of_the_manual(tmp_path: Path) -> None:
    write(tmp_path, "recipes/hello_world.yaml", HELLO)
    recipe = load_recipe("recipes/hello_world.yaml", str(tmp_path))
    assert (recipe.name, recipe.path) == ("hello_world", "recipes/hello_world.yaml")
    assert recipe.test_meta == {"test_id": "HW-001", "tester": "bob", "description": "Hello World step"}
    (step,) = recipe.steps
    assert (step.name, step.type, step.idx) == ("hello_world", "python", 1)
    assert (step.module, step.function) == ("scriptlets.steps.hello_world", "HelloWorld")
    assert step.args == {"message": "Hello, World!"}
    assert step.success.ctx_has_keys == ["hello_world.output"]
    assert step.where("args.message") == Where("recipes/hello_world.yaml", 13, 16)
    assert recipe.files == ["recipes/hello_world.yaml"] and recipe.sources == {recipe.path: HELLO}


def test_every_key_of_a_step_at_once(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        """\
        recipe: all
        description: Everything.
        budget:
          cpu: 80%
          energy: 0.2kWh
        targets:
          - a
          - out/x.txt
        wildcards:
          book: "[a-z]+"
        steps:
          - name: a
            idx: 3
            description: Makes things.
            type: shell
            run: |
              sort ${{ inputs.raw }} |
                uniq > ${{ outputs.table }}
            inputs:
              raw: data/*.csv
              more:
                - x
                - y/
            outputs:
              table: out/x.txt
              scratch:
                path: out/s.txt
                temp: yes
              rest:
                - out/r1.txt
                - path: out/r2.txt
                  protected: on
            depends_on: b
            foreach:
              book:
                - moby
                - emma
              "id, read":
                - - i1
                  - r1
                - i2, r2
              n:
                range: 1..10
              lang:
                glob: texts/${{ lang }}.txt
                after: b
              sample:
                table: samples.tsv
            combine: product
            env:
              A: ""
              B:
            shell: bash -eu
            resources:
              cpu: 0.5
              mem: 2GB
              gpu: 1
              licence: 3
            retries: 2
            retry_delay: 500ms
            timeout: 5m
            priority: -1
            runs_on:
              - gpu
              - big
            fingerprint: gcc --version
            depfile: x.d
            success:
              not_empty: yes
              exit_codes: 3
            when: ${{ config.x }}
            cache: no
            always: yes
          - name: b
        """,
    )
    a, b = recipe.steps
    assert (recipe.name, recipe.description, recipe.targets) == ("all", "Everything.", ["a", "out/x.txt"])
    assert recipe.targets_where == [Where("recipe.yaml", 7, 5), Where("recipe.yaml", 8, 5)]
    assert recipe.budget == {"cpu": "80%", "energy": "0.2kWh"} and recipe.wildcards == {"book": "[a-z]+"}
    assert a.run == "sort ${{ inputs.raw }} |\n  uniq > ${{ outputs.table }}\n"
    assert a.inputs == [
        PathDecl("data/*.csv", "inputs.raw", "raw", True),
        PathDecl("x", "inputs.more[0]", "more"),
        PathDecl("y/", "inputs.more[1]", "more"),
    ]
    assert a.outputs == [
        PathDecl("out/x.txt", "outputs.table", "table", True),
        PathDecl("out/s.txt", "outputs.scratch.path", "scratch", True, temp=True),
        PathDecl("out/r1.txt", "outputs.rest[0]", "rest"),
        PathDecl("out/r2.txt", "outputs.rest[1].path", "rest", protected=True),
    ]
    assert [(f.variables, f.kind, f.values, f.after) for f in a.foreach] == [
        (("book",), "list", ["moby", "emma"], None),
        (("id", "read"), "list", [["i1", "r1"], ["i2", "r2"]], None),
        (("n",), "range", ["1..10"], None),
        (("lang",), "glob", ["texts/${{ lang }}.txt"], "b"),
        (("sample",), "table", ["samples.tsv"], None),
    ]
    assert a.env == {"A": "", "B": ""} and a.resources == {
        "cpu": 0.5,
        "mem": 2_000_000_000,
        "gpu": 1,
        "licence": 3,
    }
    assert (a.retries, a.retry_delay, a.timeout, a.priority, a.idx) == (2, 0.5, 300.0, -1, 3)
    assert (a.runs_on, a.fingerprint, a.depends_on, a.depfile) == (
        ["gpu", "big"],
        ["gcc --version"],
        ["b"],
        "x.d",
    )
    assert (a.success.not_empty, a.success.exit_codes, a.when) == (True, [3], "${{ config.x }}")
    assert (a.cache, a.always, a.shell, a.combine) == (False, True, "bash -eu", "product")
    assert (b.type, b.shell, b.cache, b.always, b.timeout) == ("gather", None, True, False, None)


def test_marks_hold_every_node(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        """\
        steps:
          - name: a
            run: |
              one
              two

            inputs:
              - x
              - "y"
            outputs:
              t:
                path: z
                temp: yes
            env:
              FOO: bar
            foreach:
              book:
                - m
                - e
        """,
    )
    marks = recipe.steps[0].marks
    assert marks["run"][:2] == (3, 10) and marks["run"][2] >= 5
    assert marks["inputs[0]"] == (8, 9, 8) and marks["inputs[1]"] == (9, 9, 9)
    assert marks["inputs"] == (8, 7, 9)
    assert marks["outputs.t.path"] == (12, 15, 12) and marks["outputs.t.temp"] == (13, 15, 13)
    assert marks["env.FOO"] == (15, 12, 15) and marks["foreach.book[1]"] == (19, 11, 19)
    assert marks[""] == (2, 5, 19)


@pytest.mark.parametrize(
    "key", ["retries: ${{ config.n }}", "timeout: ${{ config.t }}s", "cache: ${{ config.c }}"]
)
def test_templates_stay_text_whatever_the_type(tmp_path: Path, key: str) -> None:
    recipe = load(tmp_path, f"steps:\n  - name: a\n    run: x\n    {key}\n")
    name, _, text = key.partition(": ")
    assert getattr(recipe.steps[0], name) == text


def test_defaults_env_and_shell_are_merged_under_the_step(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        """\
        env:
          A: top
          B: top
          C: top
        shell: sh -eu
        defaults:
          retries: 2
          timeout: 5m
          runs_on: gpu
          cache: no
          env:
            B: default
            C: default
          resources:
            cpu: 2
            mem: 1GB
        steps:
          - name: a
            run: x
            retries: 0
            env:
              C: own
            resources:
              mem: 3GB
          - name: b
            run: x
            shell: dash
            cache: yes
        """,
    )
    a, b = recipe.steps
    assert a.env == {"A": "top", "B": "default", "C": "own"}
    assert b.env == {"A": "top", "B": "default", "C": "default"}
    assert (a.retries, b.retries, a.timeout, a.runs_on) == (0, 2, 300.0, ["gpu"])
    assert a.resources == {"mem": 3_000_000_000, "cpu": 2.0} and b.resources == {
        "cpu": 2.0,
        "mem": 1_000_000_000,
    }
    assert (a.shell, b.shell, a.cache, b.cache) == ("sh -eu", "dash", False, True)
    assert a.where("env.A") == Where("recipe.yaml", 2, 6) and a.where("env.B").line == 12
    assert b.where("retries").line == 7 and a.where("retries").line == 20
    a.env["A"] = "changed"
    assert b.env["A"] == "top"


def test_include_merges_in_order_and_the_including_recipe_wins(tmp_path: Path) -> None:
    write(
        tmp_path,
        "parts/one.yaml",
        """\
        description: not this one
        targets: x
        config:
          a: one
          deep:
            x: one
            y: one
        wildcards:
          w: one
        env:
          A: one
          B: one
        defaults:
          retries: 1
        include: two.yaml
        steps:
          - name: s1
            run: x
        """,
    )
    write(
        tmp_path,
        "parts/two.yaml",
        """\
        env:
          B: two
          D: two
        shell: sh
        steps:
          - name: s2
            run: x
        """,
    )
    recipe = load(
        tmp_path,
        """\
        include:
          - parts/one.yaml
        config:
          a: top
          deep:
            x: top
        wildcards:
          w: top
        env:
          A: top
          C: top
        defaults:
          retries: 5
          timeout: 1s
        steps:
          - name: s3
            run: x
            depends_on: s1
        """,
    )
    assert [step.name for step in recipe.steps] == ["s2", "s1", "s3"]
    assert recipe.config == {"a": "top", "deep": {"x": "top", "y": "one"}}
    assert (recipe.description, recipe.targets, recipe.wildcards) == ("", [], {"w": "top"})
    assert recipe.files == ["recipe.yaml", "parts/one.yaml", "parts/two.yaml"]
    s2, s1, s3 = recipe.steps
    assert s3.env == {"A": "top", "B": "one", "C": "top", "D": "two"}
    assert s1.env == {"A": "one", "B": "one", "C": "top", "D": "two"}
    assert s2.env == {"A": "one", "B": "two", "C": "top", "D": "two"}
    assert [step.retries for step in recipe.steps] == [1, 1, 5]
    assert [step.timeout for step in recipe.steps] == [1.0, 1.0, 1.0]
    assert [step.shell for step in recipe.steps] == ["sh", "sh", "sh"]
    assert s1.file == "parts/one.yaml" and s1.where("name") == Where("parts/one.yaml", 17, 11)
    # a place in another file would be no place in the step's own
    assert s1.where("env.C") == s1.where("") and s1.where("env.A").line == 11


def test_file_included_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "common.yaml", "steps:\n  - name: common\n    run: x\n")
    write(tmp_path, "left.yaml", "include: common.yaml\nsteps:\n  - name: left\n    run: x\n")
    write(tmp_path, "right.yaml", "include: ./common.yaml\nsteps:\n  - name: right\n    run: x\n")
    recipe = load(tmp_path, "include:\n  - left.yaml\n  - right.yaml\n")
    assert [step.name for step in recipe.steps] == ["common", "left", "right"]


def test_step_defined_in_two_includes_names_both_places(tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", "steps:\n  - name: same\n    run: x\n")
    write(tmp_path, "two.yaml", "steps:\n  - run: x\n    name: same\n")
    write(tmp_path, "recipe.yaml", "include:\n  - one.yaml\n  - two.yaml\n")
    assert problems(tmp_path) == [
        "two.yaml:3:11: same.name: the step 'same' is defined twice (first at one.yaml:2:11)"
    ]


def test_errors_of_all_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", "steps:\n  - name: s1\n    run: x\n    retires: 1\n")
    write(tmp_path, "two.yaml", "steps:\n  - name: s2\n    run: 'x\n")
    write(
        tmp_path,
        "recipe.yaml",
        "include:\n  - one.yaml\n  - two.yaml\nsteps:\n  - name: s3\n    retries: x\n",
    )
    found = problems(tmp_path)
    assert [line.split(": ")[0] for line in found] == ["one.yaml:4:5", "recipe.yaml:6:14", "two.yaml:3:10"]


def test_sound_steps_come_beside_the_problems(tmp_path: Path) -> None:
    write(tmp_path, "recipe.yaml", "steps:\n  - name: a\n    retries: x\n  - name: b\n    depends_on: a\n")
    recipe, found = load_with_problems("recipe.yaml", str(tmp_path))
    assert [step.name for step in recipe.steps] == ["b"]
    assert [problem.key for problem in found] == ["a.retries"]


CONFIG = "config:\n  a:\n    b: 1\n    c: 2\n  list:\n    - x\nsteps:\n  - name: s\n"


def test_config_files_and_sets_override_in_this_order(tmp_path: Path) -> None:
    write(tmp_path, "c1.yaml", "a:\n  b: file1\n  d: file1\n")
    write(tmp_path, "c2.yaml", "a:\n  b: file2\nnew: file2\n")
    recipe = load(
        tmp_path, CONFIG, configs=["c1.yaml", str(tmp_path / "c2.yaml")], sets=["a.d=set=1", "x.y.z="]
    )
    assert recipe.config == {
        "a": {"b": "file2", "c": "2", "d": "set=1"},
        "list": ["x"],
        "new": "file2",
        "x": {"y": {"z": ""}},
    }
    assert recipe.files == ["recipe.yaml", "c1.yaml", "c2.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "expected KEY=VALUE"),
        ("=x", "expected KEY=VALUE"),
        ("a..b=x", "expected KEY=VALUE"),
        ("a.b.c=x", "config.a.b is text, not a map"),
        ("list.x=1", "config.list is a list, not a map"),
        ("a=x", "config.a is a map; set one of its keys (b, c)"),
    ],
)
def test_wrong_sets(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, CONFIG, sets=[text])
    assert said in str(caught.value) and text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- x\n", "c.yaml:1:1: expected a map of config keys"),
        ("a: [x]\n", "c.yaml:1:4: a list in brackets is not allowed"),
        ("", "c.yaml:1:1: expected a map of config keys"),
        ("a: b: c\n", "c.yaml:1:5: `: ` stands inside a plain text"),
    ],
)
def test_wrong_config_files(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "c.yaml", text)
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, CONFIG, configs=["c.yaml"])
    assert str(caught.value).startswith(said)
    with pytest.raises(RecipeError, match=r"no\.yaml: there is no such file"):
        load(tmp_path, CONFIG, configs=["no.yaml"])


def test_files_that_are_none(tmp_path: Path) -> None:
    write(tmp_path, "recipe.yaml", HELLO)
    os.symlink("loop.yaml", tmp_path / "loop.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert problems(tmp_path, "recipes.yaml") == [
        "recipes.yaml: there is no such file (did you mean 'recipe.yaml'?)"
    ]
    assert problems(tmp_path, "folder.yaml") == ["folder.yaml: is a directory, not a recipe"]
    for name in ("loop.yaml", "recipe.yaml/inside.yaml", "nul\0.yaml", "x" * 5000):
        (line,) = problems(tmp_path, name)
        assert "cannot be read" in line or "no such file" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    write(tmp_path, "recipe.yaml", HELLO)
    (tmp_path / "recipe.yaml").chmod(0)
    assert problems(tmp_path) == ["recipe.yaml: cannot be read: Permission denied"]


@pytest.mark.parametrize("change", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b])
def test_windows_line_breaks_and_byte_order_mark_change_nothing(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    text = HELLO + "  - name: b\n    run: |\n      one\n      two\n"
    write(tmp_path, "recipe.yaml", text)
    before = load_recipe("recipe.yaml", str(tmp_path))
    (tmp_path / "recipe.yaml").write_bytes(change(text.encode()))
    assert load_recipe("recipe.yaml", str(tmp_path)) == before


def test_odd_file_names(tmp_path: Path) -> None:
    name = "a b'c\"\n\udcff.yaml"
    with open(os.fsencode(str(tmp_path / name)), "w", encoding="utf-8") as file:
        file.write(HELLO.replace("name:", "nmae:"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, str(tmp_path))
    assert caught.value.problems[0].where == Where(name, 8, 5)


def test_recipe_outside_the_workspace_keeps_its_absolute_path(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/recipe.yaml", "include: part.yaml\n" + HELLO)
    write(tmp_path, "elsewhere/part.yaml", "steps:\n  - name: part\n    run: x\n")
    (tmp_path / "work").mkdir()
    recipe = load_recipe("../elsewhere/recipe.yaml", str(tmp_path / "work"))
    assert recipe.path == str(tmp_path / "elsewhere" / "recipe.yaml")
    assert recipe.files[1] == str(tmp_path / "elsewhere" / "part.yaml")
    inside = load_recipe(str(tmp_path / "work" / ".." / "elsewhere" / "recipe.yaml"), str(tmp_path))
    assert inside.path == "elsewhere/recipe.yaml"


def test_shell_text_reaches_the_step_untouched(tmp_path: Path) -> None:
    lines = [
        "awk -F'\\t' '{print $1}' \\",
        "  | sed 's/a: b/#c/' && ! test \"${HOME}\" || echo $(date) `x` *",
    ]
    recipe = load(
        tmp_path, "steps:\n  - name: a\n    run: |\n" + "".join(f"      {line}\n" for line in lines)
    )
    assert recipe.steps[0].run == "\n".join(lines) + "\n"


def test_tabs_inside_a_block_are_text(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, "steps:\n  - name: a\n    run: |\n      \tx\n      a\tb\n  - name: b\n    run: y\n"
    )
    assert [step.run for step in recipe.steps] == ["\tx\na\tb\n", "y"]


def test_the_budget_of_an_included_file_has_no_effect_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "part.yaml", "steps:\n  - name: a\n    run: x\nbudget:\n  mem: 1GB\n")
    recipe = load(tmp_path, "include: part.yaml\nbudget:\n  time: 2h\nsteps:\n  - name: b\n    run: x\n")
    assert recipe.budget == {"time": "2h"}
    assert recipe.warnings == ["part.yaml:5:3: the `budget` of an included file does not count"]
    write(tmp_path, "part.yaml", "steps:\n  - name: a\n    run: x\nbudget:\n  mem: 1XB\n")
    with pytest.raises(RecipeError, match="expected a size"):
        load(tmp_path, "include: part.yaml\n")

"""Python steps: scriptlets and plain functions, their arguments, and the context between them."""

from __future__ import annotations

import json

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


HELLO = """\
from f0make.context import Context
from scriptlets.core.base import BaseScriptlet


class HelloWorld(BaseScriptlet):
    def validate(self, ctx: Context, params: dict):
        if "message" not in params:
            raise ValueError("Missing 'message' argument")

    def run(self, ctx: Context, params: dict) -> int:
        self.validate(ctx, params)
        msg = params["message"]
        print(msg)
        ctx.set("hello_world.output", msg, who="hello_world")
        return 0
"""
MANUAL = """\
# orchestrator/recipes/hello_world.yaml
test_meta:
  test_id: HW-001
  tester: bob
  description: "Hello World step"
steps:
  - idx: 1
    name: hello_world
    type: python
    module: scriptlets.steps.{module}
    function: HelloWorld
    args:
      message: "Hello, World!"
    success:
      ctx_has_keys:
        - hello_world.output
"""


def test_the_example_of_the_manual(traced: Traced) -> None:
    """With the workspace's own scriptlet, and with the one that is shipped, side by side."""
    traced.write("scriptlets/steps/hello_mine.py", HELLO)
    for module in ("hello_mine", "hello_world"):
        traced.recipe(MANUAL.format(module=module))
        assert traced.run().states == {"hello_world": "ran"}, module
        assert traced("log", "hello_world").stdout == "Hello, World!\n"
        assert traced.run().states == {"hello_world": "current"}
        said = [json.loads(line) for line in traced("context", "--json").stdout.splitlines()]
        (entry,) = [e for e in said if e["key"] == "hello_world.output"]
        assert entry["value"] == "Hello, World!" and entry["history"][-1]["who"] == "hello_world"
        assert entry["history"][-1]["step"] == "hello_world"


WORK = """\
import json
import os


def write(path: str, value):
    with open(path, "w") as file:
        json.dump(value, file)


def typed(i: int, f: float, b: bool, s: str, li: list[int], d: dict[str, float], o: int | None = None, e: str = "default"):
    write("o.json", [i, f, b, s, li, d, o, e])


def untyped(a, b, c="c"):
    write("o.json", [a, b, c])


def about(ctx):
    step = ctx.step
    write("o.json", [step.name, list(step.inputs), list(step.outputs), dict(step.resources), step.attempt, os.getcwd()])


def fails():
    print("said before")
    raise RuntimeError("the reason of it")


def returns(value: int):
    return value
"""


def recipe(function: str, args: str = "", more: str = "") -> str:
    body = "".join(f"      {line}\n" for line in args.splitlines())
    return f"steps:\n  - name: s\n    module: work\n    function: {function}\n{'    args:' if args else ''}\n{body}{more}"


def test_arguments_get_their_types_from_annotations(traced: Traced) -> None:
    traced.write("work.py", WORK)
    args = "i: 3\nf: 2.5\nb: yes\ns: 007\nli:\n  - 1\n  - 2\nd:\n  x: 1.5"
    traced.recipe(recipe("typed", args, "    outputs: o.json\n"))
    traced.run()
    assert json.loads(traced.read("o.json")) == [3, 2.5, True, "007", [1, 2], {"x": 1.5}, None, "default"]
    traced.recipe(recipe("untyped", "a: 3\nb:\n  - yes\n  - k: v", "    outputs: o.json\n"))
    traced.run()
    assert json.loads(traced.read("o.json")) == ["3", ["yes", {"k": "v"}], "c"]


@pytest.mark.parametrize(
    ("function", "args", "parts"),
    [
        ("typed", "i: three\nf: 1\nb: no\ns: x\nli:\n  - 1\nd:\n  x: 1", ["recipe.yaml:6", "three", "i"]),
        ("typed", "i: 3\nf: 1\nb: no\ns: x\nli:\n  - one\nd:\n  x: 1", ["recipe.yaml:11", "one"]),
        ("typed", "i: 3", ["recipe.yaml:", "f", "b", "s", "li"]),
        ("untyped", "a: 1\nb: 2\nd: 3", ["recipe.yaml:8", "d"]),
        ("untyped", "a: 1", ["recipe.yaml:", "b"]),
        ("untypd", "a: 1", ["recipe.yaml:4", "untypd", "untyped"]),
        ("Typed", "message: x", ["recipe.yaml:4", "Typed"]),
    ],
)
def test_wrong_arguments_are_errors_before_anything_runs(
    traced: Traced, function: str, args: str, parts: list[str]
) -> None:
    traced.write("work.py", WORK + "\nraise SystemExit('imported')\n")
    traced.recipe(recipe(function, args))
    for verb in ("validate", "run", "plan"):
        result = traced(verb, "recipe.yaml")
        assert result.code == 2 and "imported" not in result.stderr
        for part in parts:
            assert part in result.stderr, (part, result.stderr)


def test_modules_that_are_not_there_or_no_python(traced: Traced) -> None:
    traced.recipe(recipe("f").replace("module: work", "module: nowhere.at.all"))
    result = traced("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:3" in result.stderr and "nowhere" in result.stderr
    traced.write("work.py", "def f(:\n")
    traced.recipe(recipe("f"))
    result = traced("validate", "recipe.yaml")
    assert result.code == 2 and "work.py" in result.stderr and "Traceback" not in result.stderr


def test_params_of_a_scriptlet_class(traced: Traced) -> None:
    traced.write(
        "work.py",
        "from scriptlets.core.base import BaseScriptlet\n\n\n"
        "class Count(BaseScriptlet):\n"
        "    class Params:\n"
        "        path: str\n"
        "        times: int = 2\n\n"
        "    def run(self, ctx, params):\n"
        "        open(params['path'], 'w').write(str(params['times'] * 2))\n"
        "        return 0\n",
    )
    for args, wanted in (("path: o\ntimes: 5", "10"), ("path: o", "4")):
        traced.recipe(recipe("Count", args, "    outputs: o\n"))
        traced.run()
        assert traced.read("o") == wanted
    traced.recipe(recipe("Count", "path: o\ntimes: x", "    outputs: o\n"))
    assert "recipe.yaml:7" in traced("validate", "recipe.yaml").stderr
    traced.recipe(recipe("Count", "tims: 3", "    outputs: o\n"))
    said = traced("validate", "recipe.yaml").stderr
    assert "tims" in said and "path" in said and "times" in said


def test_what_a_step_knows_of_itself(traced: Traced) -> None:
    traced.write("work.py", WORK)
    traced.write("a.txt", "")
    traced.recipe(
        recipe(
            "about", "", "    inputs:\n      - a.txt\n    outputs: o.json\n    resources:\n      tapes: 2\n"
        ).replace("\n\n", "\n")
    )
    traced.run()
    name, inputs, outputs, resources, attempt, directory = json.loads(traced.read("o.json"))
    assert (name, inputs, outputs, attempt) == ("s", ["a.txt"], ["o.json"], 1)
    assert resources["tapes"] == 2 and directory == str(traced.workspace.resolve())


def test_failures(traced: Traced) -> None:
    traced.write("work.py", WORK)
    traced.recipe(recipe("fails"))
    result = traced.run(code=1)
    assert result.states == {"s": "failed"} and "the reason of it" in result.reasons["s"]
    log = traced("log", "s").stdout
    assert "said before" in log and "the reason of it" in log and "work.py" in log
    traced.recipe(recipe("returns", "value: 7"))
    assert "7" in traced.run(code=1).reasons["s"]
    traced.recipe(recipe("returns", "value: 0"))
    assert traced.run().states == {"s": "ran"}
    traced.write("work.py", "import sys\ndef f():\n    sys.exit('gone')\n")
    traced.recipe(recipe("f"))
    assert traced.run(code=1).states == {"s": "failed"}
    traced.write("work.py", "def f(ctx):\n    ctx.set('k', object())\n")
    result = traced.run(code=1)
    assert result.states == {"s": "failed"} and "k" in result.reasons["s"]


def test_steps_do_not_see_each_other_s_state(traced: Traced) -> None:
    """Whatever a step changes in its process is no matter of the next one."""
    traced.write("helper.py", "value = 1\n")
    traced.write(
        "work.py",
        "import os, sys\nimport helper\n\n\n"
        "def spoil():\n    os.environ['SPOILT'] = 'yes'\n    os.chdir('/')\n    sys.argv.append('spoilt')\n\n\n"
        "def look(path: str):\n    assert 'SPOILT' not in os.environ and 'spoilt' not in sys.argv\n"
        "    open(path, 'w').write(os.getcwd())\n",
    )
    traced.recipe(
        "steps:\n  - name: spoil\n    module: work\n    function: spoil\n"
        "  - name: look\n    depends_on: spoil\n    module: work\n    function: look\n    args:\n      path: o\n    outputs: o\n"
    )
    traced.run("-j1")
    assert traced.read("o") == str(traced.workspace.resolve())


def test_env_reaches_python_steps_and_their_children(traced: Traced) -> None:
    traced.write(
        "work.py", "import os\ndef f():\n    os.system('echo $A > o')\n    assert os.environ['A'] == 'x y'\n"
    )
    traced.recipe(recipe("f", "", "    env:\n      A: x y\n    outputs: o\n").replace("\n\n", "\n"))
    traced.run()
    assert traced.read("o") == "x y\n"


CONTEXT = """\
def put(key: str, value: str, ctx):
    ctx.set(key, [value, {"n": 1}], who="somebody")


def get(key: str, path: str, ctx):
    open(path, "w").write(repr((ctx.get(key), ctx.get("absent", "default"), sorted(ctx.keys()))))
    assert all(set(entry) >= {"when", "who", "step", "before", "after"} for entry in ctx.history())
"""


def put(name: str, key: str, value: str, more: str = "") -> str:
    return f"  - name: {name}\n    module: work\n    function: put\n    args:\n      key: {key}\n      value: {value}\n{more}"


def get(name: str, key: str, more: str = "") -> str:
    return (
        f"  - name: {name}\n    module: work\n    function: get\n    args:\n      key: {key}\n      path: {name}.txt\n"
        f"    outputs: {name}.txt\n{more}"
    )


def test_the_context_flows_along_dependencies(traced: Traced) -> None:
    traced.write("work.py", CONTEXT)
    traced.recipe(
        "steps:\n"
        + put("first", "k", "one")
        + put("second", "k", "two", "    depends_on: first\n")
        + get("direct", "k", "    depends_on: first\n")
        + get("last", "k", "    depends_on: second\n")
        + "  - name: shell\n    depends_on: second\n    run: 'true'\n"
        + get("far", "k", "    depends_on: shell\n")
    )
    traced.run("-j2")
    assert traced.read("direct.txt") == "(['one', {'n': 1}], 'default', ['k'])"
    assert traced.read("last.txt") == traced.read("far.txt") == "(['two', {'n': 1}], 'default', ['k'])"
    history = json.loads(
        next(line for line in traced("context", "recipe.yaml", "--json").stdout.splitlines() if '"k"' in line)
    )["history"]
    assert [(h["step"], h["who"], h["before"], h["after"]) for h in history] == [
        ("first", "somebody", None, ["one", {"n": 1}]),
        ("second", "somebody", ["one", {"n": 1}], ["two", {"n": 1}]),
    ]
    # Current steps replay what they wrote.
    (traced.workspace / "last.txt").unlink()
    assert traced.run("-j2").states["last"] == "restored"
    assert traced.run("--force", "last").states["last"] == "ran"
    assert traced.read("last.txt") == "(['two', {'n': 1}], 'default', ['k'])"


@pytest.mark.parametrize("order", [["writer", "reader"], ["reader", "writer"]], ids=lambda o: o[0])
def test_a_read_without_a_dependency_names_what_is_missing(traced: Traced, order: list[str]) -> None:
    traced.write("work.py", CONTEXT)
    parts = {"writer": put("writer", "k", "one"), "reader": get("reader", "k")}
    traced.recipe("steps:\n" + "".join(parts[name] for name in order))
    for _ in range(2):
        result = traced("run", "recipe.yaml", "-j1", "-k")
        assert result.code != 0
        assert "writer" in result.stderr and "depends_on" in result.stderr and "k" in result.stderr
    traced.recipe(
        "steps:\n"
        + "".join(parts[name] for name in order).replace(
            "path: reader.txt\n", "path: reader.txt\n    depends_on: writer\n"
        )
    )
    assert traced.run().summary["failed"] == 0 and traced.read("reader.txt").startswith("(['one'")

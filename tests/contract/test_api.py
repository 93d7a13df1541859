"""The Python interface, from a script as a user would write it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.f0 import F0

RECIPE = """\
description: two steps
steps:
  - idx: 1
    name: first
    outputs: first.txt
    resources:
      cpu: 1
    run: echo first > first.txt
  - idx: 2
    name: second
    module: work
    function: main
    inputs: first.txt
    args:
      message: hi
"""


def script(f0: F0, text: str) -> str:
    """What a Python script prints that runs in the workspace."""
    f0.write("script.py", text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=f0.workspace, env=f0.environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def work(f0: F0) -> F0:
    """A recipe with a shell and a python step."""
    f0.recipe(RECIPE)
    f0.write("work.py", "def main(message: str, ctx):\n    ctx.set('said', message)\n")
    return f0


def test_executor(work: F0) -> None:
    said = script(
        work,
        "from f0make.executor import Executor, run_recipe\n"
        "if __name__ == '__main__':\n"
        "    result = Executor().execute('recipe.yaml')\n"
        "    print(result.status, result.steps, result.context.get('said'), result.summary['ran'])\n"
        "    again = run_recipe('recipe.yaml')\n"
        "    print(again.status, again.steps, again.context.get('said'), again.summary['current'])\n",
    )
    assert said.splitlines() == [
        "ok {'first': 'ran', 'second': 'ran'} hi 2",
        "ok {'first': 'current', 'second': 'current'} hi 2",
    ]
    # They are the same classes as those of the command line.
    assert work.run().summary["current"] == 2


def test_a_failed_run_and_a_wrong_recipe(work: F0) -> None:
    work.write(
        "bad.yaml", "steps:\n  - name: a\n    run: exit 3\n  - name: b\n    depends_on: a\n    run: 'true'\n"
    )
    work.write("wrong.yaml", "steps:\n  - name: a\n    rnu: x\n")
    said = script(
        work,
        "from f0make.executor import run_recipe\n"
        "if __name__ == '__main__':\n"
        "    result = run_recipe('bad.yaml')\n"
        "    print(result.status, result.steps)\n"
        "    try:\n        run_recipe('wrong.yaml')\n"
        "    except Exception as error:\n        print(type(error).__name__, 'wrong.yaml:3' in str(error))\n",
    )
    assert said.splitlines() == ["failed {'a': 'failed', 'b': 'cancelled'}", "RecipeError True"]


def test_recipe_parser(work: F0) -> None:
    said = script(
        work,
        "from f0make.recipe_parser import RecipeParser\n"
        "parser = RecipeParser()\nrecipe = parser.load('recipe.yaml')\nparser.validate(recipe)\n"
        "steps = parser.parse_steps(recipe)\n"
        "print([step['name'] for step in steps], steps[1]['args']['message'], dict(steps[0])['run'].strip())\n",
    )
    assert said == "['first', 'second'] hi echo first > first.txt\n"


def test_dependency_graph(f0: F0) -> None:
    said = script(
        f0,
        "from f0make.dependency_graph import DependencyGraph\n"
        "graph = DependencyGraph()\n"
        "graph.add_task('step3', ['step1', 'step2'])\n"
        "graph.add_task('step2', ['step1'])\n"
        "graph.add_task('step1', [])\n"
        "print(graph.get_task_order())\n"
        "print(graph.visualize())\n"
        "graph.add_task('step1', ['step3'])\n"
        "try:\n    print(graph.get_task_order())\n"
        "except Exception as error:\n    print(type(error).__name__, 'step3' in str(error))\n",
    )
    lines = said.splitlines()
    assert lines[0] == "['step1', 'step2', 'step3']"
    assert lines[1].startswith("digraph") and said.count("->") == 3
    assert lines[-1].endswith("True")


def test_scheduler(work: F0) -> None:
    said = script(
        work,
        "from f0make.recipe_parser import RecipeParser\n"
        "from f0make.scheduler import Scheduler\n"
        "parser = RecipeParser()\nsteps = parser.parse_steps(parser.load('recipe.yaml'))\n"
        "scheduler = Scheduler()\nplan = scheduler.schedule(steps, resources={'cpu': 2, 'mem': '2GB'})\n"
        "print(plan)\nprint('---')\nprint(list(plan.order), plan.makespan > 0)\n"
        "seen = scheduler.monitor()\nprint(sorted(seen))\n",
    )
    plan, _, rest = said.partition("---\n")
    assert "first" in plan and "second" in plan
    lines = rest.splitlines()
    assert lines[0] == "['first', 'second'] True"
    assert "cpu" in lines[1] and "mem" in lines[1] and "energy" in lines[1]


def test_context(f0: F0) -> None:
    said = script(
        f0,
        "from f0make.context import Context\n"
        "ctx = Context()\nctx.set('a', {'x': [1, None, 'é']}, who='me')\nctx.set('a', 2, who='you')\n"
        "print(ctx.get('a'), ctx.get('b'), ctx.get('b', 'default'), list(ctx.keys()))\n"
        "print([(h['who'], h['before'], h['after']) for h in ctx.history()])\n"
        "for bad in (object(), {1, 2}, b'x', float('nan')):\n"
        "    try:\n        ctx.set('bad', bad)\n        print('accepted', bad)\n"
        "    except Exception as error:\n        print(type(error).__name__)\n",
    )
    lines = said.splitlines()
    assert lines[0] == "2 None default ['a']"
    assert lines[1] == "[('me', None, {'x': [1, None, 'é']}), ('you', {'x': [1, None, 'é']}, 2)]"
    assert not any("accepted" in line for line in lines[2:]) and len(lines) == 6

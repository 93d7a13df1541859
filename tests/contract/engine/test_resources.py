"""`resources` in texts: what is granted, and that it is no part of the key."""

from __future__ import annotations

from tests.support.f0 import F0


def text(f0: F0, cpu: str, run: str, more: str = "") -> None:
    asked = f"    resources:\n      cpu: {cpu}\n" if cpu else ""
    f0.recipe(
        f"config:\n  k: a\n  t: 2\nsteps:\n  - name: a\n    outputs: o\n{asked}{more}    run: {run} > o\n"
    )


def test_one_core_where_nothing_is_asked(f0: F0) -> None:
    text(f0, "", 'echo ${{ resources.cpu }} "$F0MAKE_CPUS" ${{ resources.cpu * 2 }}')
    f0.run()
    assert f0.read("o") == "1 1 2\n"


def test_what_is_granted(f0: F0) -> None:
    env = "    env:\n      T: t${{ resources.cpu }}\n"
    text(f0, "8", 'echo ${{ resources.cpu }} "$F0MAKE_CPUS $T"', env)
    f0.run("-j2")
    assert f0.read("o") == "2 2 t2\n"
    assert set(f0.run("-j1").states.values()) == {"current"}


def test_another_number_of_threads_runs_nothing_again(f0: F0) -> None:
    env = "    env:\n      T: ${{ resources.cpu }}\n      U: u${{ env.T }}\n"
    run = 'echo ${{ resources.cpu }} ${{ env.U }} "$T" ${{ config.k if resources.cpu > 0 else 1 }}'
    text(f0, "1", run, env)
    assert f0.run().states == {"a": "ran"}
    text(f0, "2", run, env)
    assert f0.run().states == {"a": "current"}
    text(f0, "${{ config.t | int }}", run, env)
    assert f0.run("--set", "t=3").states == {"a": "current"}
    assert f0.run("--set", "k=b").states == {"a": "ran"}
    text(f0, "2", run.replace("resources.cpu }}", "resources.cpu + 1 }}", 1), env)
    assert f0.run().states == {"a": "ran"}


def test_threads_of_a_python_step(f0: F0) -> None:
    f0.write(
        "m.py",
        "import os\ndef f(n: int, k: str):\n    open('o', 'w').write(f'{n} {k} ' + os.environ['F0MAKE_CPUS'])\n",
    )
    recipe = (
        "steps:\n  - name: a\n    outputs: o\n    module: m\n    function: f\n    args:\n      n: ${{ resources.cpu }}\n      k: x\n"
        "    resources:\n      cpu: 2\n"
    )
    f0.recipe(recipe)
    f0.run("-j4")
    assert f0.read("o") == "2 x 2"
    f0.recipe(recipe.replace("cpu: 2", "cpu: 3"))
    assert f0.run("-j4").states == {"a": "current"}
    f0.recipe(recipe.replace("k: x", "k: y"))
    assert f0.run("-j4").states == {"a": "ran"}

"""Single things are bounded, and so is the sum of them: what a recipe, or a workspace that came with a state, may take in all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.store import log_lines as log
from tests.contract.recipe.test_hostile import look
from tests.support.f0 import F0, command

STEP = "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..1000000\n"
OF_N = "  - name: {name}\n    foreach:\n      n:\n        range: 1..{n}\n"

SUMS = {
    "a range": (STEP + "    run: echo\n", 4),
    "a product": (STEP.replace("1000000", "1000") + "      m:\n        range: 1..900\n    run: echo\n", 4),
    "a zip": (
        STEP
        + "".join(f"      m{k}:\n        range: 1..1000000\n" for k in range(5))
        + "    combine: zip\n    run: echo\n",
        4,
    ),
    "a table by itself": (
        "steps:\n  - name: s\n    foreach:\n      n:\n        table: t.csv\n      m:\n        table: t.csv\n    run: echo\n",
        4,
    ),
    "many steps": (
        "steps:\n" + "".join(OF_N.format(name=f"s{k}", n=20_000) + "    run: echo\n" for k in range(30)),
        0,
    ),
    "outputs": (
        "steps:\n"
        + "".join(
            f"  - name: s{k}\n    outputs: ${{{{ range({k}00000, {k}99999) | list }}}}\n    run: echo\n"
            for k in range(1, 31)
        ),
        0,
    ),
    "inputs": (
        "steps:\n"
        + OF_N.format(name="g", n=3000)
        + "    outputs: o/${{ n }}\n    run: echo\n"
        + OF_N.format(name="h", n=3000)
        + "    inputs: ${{ steps.g.outputs }}\n    run: cat ${{ inputs }}\n",
        10,
    ),
    "commands": (
        "config:\n  a: " + "x" * 400_000 + "\n" + STEP.replace("1000000", "5000") + "    run: echo ${{ config.a }} ${{ n }}\n",
        6,
    ),
    "variables": (
        "config:\n  a: " + "x" * 400_000 + "\n" + STEP.replace("1000000", "5000") + "    env:\n      A: ${{ config.a }}${{ n }}\n    run: echo\n",
        6,
    ),
    "edges": (
        "steps:\n"
        + "".join(OF_N.format(name=f"s{k}", n=64) + "    run: echo\n" for k in range(40))
        + "".join(
            OF_N.format(name=f"t{k}", n=64)
            + "    run: echo\n    depends_on:\n"
            + "".join(f"      - s{i}\n" for i in range(40))
            for k in range(50)
        ),
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", list(SUMS))
def test_what_a_recipe_comes_to_is_bounded(f0: F0, what: str) -> None:
    text, line = SUMS[what]
    f0.write("t.csv", "a,b\n" + "".join(f"{n},x\n" for n in range(1000)))
    f0.write("r.yaml", text)
    for verb in ("validate", "run") if what == "a range" else ("validate",):
        code, stderr, cpu = look(f0, verb, "r.yaml")
        assert code == 2 and cpu < 10, (code, cpu, stderr)
        (told,) = stderr.splitlines()
        assert "MB of memory" in told and "F0MAKE_LIMITS" in told
        assert told.startswith(f"r.yaml:{line}:" if line else "r.yaml:")
    assert not f0.exists("o")


def test_who_means_it_says_so(f0: F0) -> None:
    f0.write("r.yaml", STEP.replace("1000000", "400000") + "    run: echo\n")
    code, stderr, _ = look(f0, "list", "r.yaml")
    assert code == 2 and "F0MAKE_LIMITS=4" in stderr
    done = subprocess.run(
        [*command(), "list", "r.yaml"],
        cwd=f0.workspace,
        env={**f0.environment(), "F0MAKE_LIMITS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "400000" in done.stdout, done.stderr
    for wrong in ("0", "-1", "many", "1.5", "9" * 5000):
        done = subprocess.run(
            [*command(), "list", "r.yaml"],
            cwd=f0.workspace,
            env={**f0.environment(), "F0MAKE_LIMITS": wrong},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2 and "expected a whole number" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


SMALL = """
import sys
from f0make.cli import bounded
from f0make.cli.app import main
bounded.SECONDS, bounded.AGAIN, bounded.MEMORY = float(sys.argv[1]), 0.3, int(sys.argv[2])
sys.exit(main(sys.argv[3:]))
"""


def small(f0: F0, *words: str, seconds: float = 8, memory: int = 400_000_000) -> tuple[int, str, str]:
    """A verb with so much time and memory: exit code, standard output and error."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(seconds), str(memory), *words],
        cwd=f0.workspace,
        env=f0.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


SLOW = "      ${{ (n * 2000) | list | map('upper') | join | length }}\n"


@pytest.mark.parametrize("verb", ["validate", "plan", "list", "why", "graph"])
def test_the_time_of_all_expressions_together_is_bounded(f0: F0, verb: str) -> None:
    f0.write("r.yaml", "steps:\n" + OF_N.format(name="s", n=5000) + "    run: |\n" + SLOW)
    words = [verb, "r.yaml", *(["s"] if verb == "why" else [])]
    code, stdout, stderr = small(f0, *words, seconds=0.5)
    assert code == 2 and not stdout
    assert stderr.startswith("r.yaml:4:7: s: this takes more than 0.5 s of processor time"), stderr
    assert len(stderr.splitlines()) == 1 and "F0MAKE_LIMITS" in stderr
    assert not f0.exists(".f0make")


def test_a_file_that_takes_long_to_read_is_named(f0: F0) -> None:
    f0.write("big.yaml", "".join(f"a{n}: b\n" for n in range(100_000)))
    f0.write("r.yaml", "include: big.yaml\nsteps:\n  - name: s\n    run: echo\n")
    code, _, stderr = small(f0, "validate", "r.yaml", seconds=0.5)
    assert code == 2 and stderr.startswith("big.yaml: this takes more than"), stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not limit what is mapped")
def test_memory_that_nobody_charged_is_bounded(f0: F0) -> None:
    f0.write("r.yaml", "steps:\n" + "".join(f"  - name: s{n}\n    run: echo\n" for n in range(30_000)))
    for words in (["validate", "r.yaml"], ["graph", "r.yaml", "--json"]):
        code, stdout, stderr = small(f0, *words, memory=40_000_000)
        assert code == 2 and not stdout and "r.yaml" in stderr and "more than 40 MB of memory" in stderr


def test_data_that_are_hashed_are_nobodys_delay(f0: F0) -> None:
    with open(f0.workspace / "large", "wb") as file:
        for n in range(300):
            file.write(bytes([n % 256]) * 1_000_000)
    f0.write("r.yaml", "steps:\n  - name: s\n    inputs: large\n    run: echo\n")
    code, stdout, stderr = small(f0, "plan", "r.yaml", seconds=0.5)
    assert code == 0 and "run      s" in stdout, stderr


def history(f0: F0, lines: int, instances: int) -> None:
    """A `runs.log` of ``lines`` runs."""
    f0.write("r.yaml", "steps:\n  - name: s\n    run: 'true'\n")
    f0.run(recipe="r.yaml")
    steps = {f"s[n={n}]": "ran" for n in range(instances)}
    line = log.encode("run", {"recipe": "r.yaml", "run": "x", "status": "ok", "steps": steps, "started": 5.0})
    with open(f0.workspace / ".f0make/runs.log", "ab") as file:
        for _ in range(lines):
            file.write(line)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not limit what is mapped")
def test_a_long_history_is_read_run_by_run(f0: F0) -> None:
    history(f0, 40, 20_000)
    assert os.path.getsize(f0.workspace / ".f0make/runs.log") > 10_000_000
    for verb in ("status", "history"):
        code, stdout, stderr = small(f0, verb, memory=60_000_000)
        assert code == 0 and stdout, (verb, stderr)


def test_a_history_of_one_endless_line_is_left_alone(f0: F0) -> None:
    history(f0, 0, 0)
    with open(f0.workspace / ".f0make/runs.log", "ab") as file:
        file.truncate(1_000_000_000)
    for words in (["status"], ["report", "r.yaml"], ["log", "s"], ["history"]):
        code, stderr, cpu = look(f0, *words)
        assert code == 0 and cpu < 10, (words, stderr)


def test_thousands_of_missing_inputs_are_not_all_told(f0: F0) -> None:
    f0.write(
        "r.yaml", "steps:\n" + OF_N.format(name="s", n=20_000) + "    inputs: in/${{ n }}\n    run: echo\n"
    )
    result = f0("validate", "r.yaml")
    assert result.code == 2 and len(result.stderr.splitlines()) == 1000
    assert "s[n=1] does not exist" in result.stderr and "there may be more" in result.stderr


def test_includes_that_include_each_other_without_end(f0: F0) -> None:
    for n in range(300):
        f0.write(f"i{n}.yaml", f"include: i{n + 1}.yaml\nsteps:\n  - name: s{n}\n    run: echo\n")
    f0.write("i300.yaml", "steps:\n  - name: t\n    run: echo\n")
    result = f0("validate", "i0.yaml")
    assert result.code == 2 and "64 is the most" in result.stderr and "i64.yaml:1:" in result.stderr


@pytest.mark.parametrize("how", ["pattern", "glob"])
def test_a_slow_wildcard_is_told_where_it_stands(f0: F0, how: str) -> None:
    f0.write("in/" + "a" * 200, "")
    by = {
        "pattern": "  - name: p\n    outputs: o/${{ n }}\n    run: echo\n  - name: g\n    inputs: o/" + "a" * 200 + "\n    run: cat\n",
        "glob": "  - name: p\n    foreach:\n      n:\n        glob: in/${{ n }}\n    run: echo\n",
    }[how]  # fmt: skip
    f0.write("r.yaml", "wildcards:\n  m: x\n  n: (a+)+(a+)\\1b\nsteps:\n" + by)
    result = f0("validate", "r.yaml")
    assert result.code == 2 and "r.yaml:3:6: wildcards.n: '(a+)+(a+)\\\\1b' takes too long" in result.stderr


def test_the_state_is_not_half_read(f0: F0, tmp_path: Path) -> None:
    """Where the state is too large to be looked at, nothing is written over it."""
    history(f0, 3, 10)
    before = (f0.workspace / ".f0make/runs.log").read_bytes()
    code, _, _ = small(f0, "status", seconds=0.0001)
    assert code in (0, 2)
    assert (f0.workspace / ".f0make/runs.log").read_bytes() == before

"""Recipes and what they name are input: on anything hostile the verbs that look end with 0 or 2, soon, and leave nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.f0 import F0, command

LIMITED = """
import os, resource, sys
memory = 900_000_000  # of addresses, of which a Python with a few threads has two thirds to spare
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
os.execv(sys.argv[1], sys.argv[1:])
"""

STEP = "steps:\n  - name: s\n"
LONG = "config:\n  a: " + "x" * 400_000 + "\n  b: " + "ab" * 200_000 + "\n"


def expression(text: str) -> str:
    """A recipe with one expression."""
    return f"{LONG}{STEP}    run: 'echo ${{{{ " + text.replace("'", "''") + " }}'\n"


RECIPES = {
    "rfind": expression("config.b.rfind('ba' * 100000)"),
    "rsplit": expression("config.a.rsplit('x' * 100000 ~ 'y')"),
    "title": expression("(config.a * 30) | title"),
    "sort": expression("(config.a * 30) | sort(attribute='x')"),
    "truncate": expression("config.a | truncate(5, True, 'x' * 1000)"),
    "power": expression("9 ** 9 ** 9 ** 9"),
    "format": expression("'%(a)s' * 100000 % config"),
    "slices": expression("[" + ", ".join(["config.a[1:]"] * 900) + "] | length"),
    "contains": expression(" or ".join(["config.a[1:] ~ 'y' in config.b"] * 300)),
    "nested": expression("(" * 3000 + "1" + ")" * 3000),
    "infinite": expression("1e400"),
    "method": expression("'%s' % config.get"),
    "method2": expression("[config.get] | string"),
    "surrogate": expression("'\\ud800'"),
    "open": STEP + "    run: |\n" + "      ${{ ( }}\n" * 20_000,
    "range": STEP + "    foreach:\n      n:\n        range: 1..999999999999\n    run: echo ${{ n }}\n",
    "product": STEP
    + "    foreach:\n      n:\n        range: 1..900000\n      m:\n        range: 1..900000\n    run: echo ${{ n }}\n",
    "deep": "".join("  " * n + "a:\n" for n in range(2000)),
    "flow": "steps: " + "[" * 50_000,
    "anchors": "a: &a\n  - x\n" + "".join(f"b{n}: *a\n" for n in range(1000)),
    "wildcard": "wildcards:\n  n: (a+)+$\n"
    + STEP
    + "    inputs: in/*\n    outputs: ${{ n }}\n    run: echo\n",
    "glob": STEP + f"    inputs: d/{'*a' * 40}*b\n    run: cat ${{{{ inputs }}}}\n",
    "doubles": STEP
    + "    inputs: "
    + "**/" * 1
    + "/".join(["**", "*"] * 12)
    + "/x\n    run: cat ${{ inputs }}\n",
    "doubling": "env:\n"
    + "".join(f"  A{n}: ${{{{ env.A{n + 1} }}}}${{{{ env.A{n + 1} }}}}\n" for n in range(50))
    + f"  A50: xx\n{STEP}    run: echo\n",
    "many-values": LONG + STEP + "    run: |\n" + "      echo ${{ config.a }}\n" * 20_000,
    "many-names": STEP + "    run: |\n" + '      echo "$(echo ${{ step.name }})"\n' * 20_000,
    "long-path": STEP + f"    outputs: {'a/' * 100_000}x\n    run: echo\n",
    "long-input": STEP + f"    inputs: {'a/' * 100_000}x\n    run: echo\n",
    "long-name": STEP + f"    outputs: {'a' * 300}\n    run: echo\n",
    "many-wildcards": "wildcards:\n"
    + "".join(f"  w{n}: .*\n" for n in range(30))
    + f"{STEP}    outputs: "
    + "".join(f"${{{{ w{n} }}}}" for n in range(30))
    + f"b\n    run: echo\n  - name: g\n    inputs: {'a' * 200}\n    run: echo\n",
    "fifo-table": STEP + "    foreach:\n      n:\n        table: fifo.csv\n    run: echo\n",
    "device-table": STEP + "    foreach:\n      n:\n        table: zero.csv\n    run: echo\n",
    "large-table": STEP + "    foreach:\n      n:\n        table: large.csv\n    run: echo\n",
    "include": "include: fifo.yaml\n" + STEP + "    run: echo\n",
    "include-self": "include: include-self.yaml\n" + STEP + "    run: echo\n",
    "module": STEP + "    module: bomb\n    function: f\n    args:\n      n: 1\n",
    "fingerprint": STEP + "    fingerprint: touch EXECUTED\n    run: touch EXECUTED\n",
}
FILES = [
    "fifo.yaml",
    "zero.yaml",
    "directory.yaml",
    "socket.yaml",
    "large.yaml",
    "/dev/zero",
    "/dev/full",
    "missing.yaml",
]


@pytest.fixture
def hostile(f0: F0) -> F0:
    """A workspace with everything that no program likes to read."""
    here = f0.workspace
    for name in ("fifo.yaml", "fifo.csv"):
        os.mkfifo(here / name)
    for name in ("zero.yaml", "zero.csv"):
        (here / name).symlink_to("/dev/zero")
    for name in ("large.yaml", "large.csv"):
        with open(here / name, "wb") as file:
            file.truncate(3_000_000_000)
    (here / "directory.yaml").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        before = os.getcwd()
        os.chdir(here)  # a socket's path may be a hundred bytes long
        listening.bind("socket.yaml")
        os.chdir(before)
    for n in range(5):
        f0.write("d/" + "a" * 200 + str(n), "")
    f0.write("/".join(f"e{n}" for n in range(15)) + "/file", "")
    f0.write("bomb.py", "open('EXECUTED', 'w')\n" + "x = " + "[" * 90 + "]" * 90 + "\ndef f(n: int): pass\n")
    for name, text in RECIPES.items():
        f0.write(f"{name}.yaml", text)
    return f0


def listing(root: Path) -> set[str]:
    """Every path below ``root``."""
    return {str(path) for path in root.rglob("*")}


def look(f0: F0, *words: str) -> tuple[int, str, float]:
    """Exit code, standard error and CPU seconds of a verb that has 900 MB of addresses."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command(), *words],
        cwd=f0.workspace,
        env=f0.environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return done.returncode, done.stderr.decode("utf-8", "replace"), cpu


def check(f0: F0, *words: str) -> None:
    """One verb behaves: 0 or 2, in time, without a traceback."""
    code, stderr, cpu = look(f0, *words)
    assert code in (0, 2), (words, code, stderr[-2000:])
    assert "Traceback" not in stderr and "internal error" not in stderr, (words, stderr[-2000:])
    assert code == 0 or stderr.strip(), words
    assert cpu < 10, words


def test_validate_is_safe_on_anything(hostile: F0) -> None:
    before = listing(hostile.workspace)
    for name in RECIPES:
        check(hostile, "validate", f"{name}.yaml")
    for path in FILES:
        check(hostile, "validate", path)
    assert listing(hostile.workspace) == before, "something was written or executed"


@pytest.mark.parametrize("verb", ["plan", "list", "graph", "why", "report", "status", "log"])
def test_no_verb_that_looks_executes_or_writes(hostile: F0, verb: str) -> None:
    before = listing(hostile.workspace)
    for name in ("module.yaml", "fingerprint.yaml", "fifo.yaml"):
        words = [verb, name, *(["s"] if verb in ("why", "log") else [])]
        code, stderr, cpu = look(hostile, *words)
        assert code in (0, 2), (words, stderr)
        assert "Traceback" not in stderr and "internal error" not in stderr and cpu < 10, (words, stderr)
    assert listing(hostile.workspace) == before, "something was written or executed"


def test_a_state_that_is_there_needs_no_more_memory(f0: F0) -> None:
    f0.write("ok.yaml", STEP + "    run: 'true'\n")
    f0.run(recipe="ok.yaml")
    for words in (
        "plan ok.yaml",
        "why ok.yaml s",
        "graph ok.yaml",
        "report ok.yaml",
        "status",
        "log s",
        "run ok.yaml",
    ):
        code, stderr, _ = look(f0, *words.split())
        assert code == 0, (words, stderr)


def test_config_and_hosts_files_are_read_the_same_way(hostile: F0) -> None:
    hostile.write("ok.yaml", STEP + "    run: 'true'\n")
    for path in ("fifo.yaml", "zero.yaml", "large.yaml", "directory.yaml"):
        for option in ("--config", "--hosts"):
            result = hostile("run", "ok.yaml", option, path)
            assert result.code == 2 and path in result.stderr, (option, path, result.stderr)


def test_words_that_no_number_is_are_an_error_of_one_line(f0: F0) -> None:
    f0.write("ok.yaml", STEP + "    run: 'true'\n")
    for words in (
        ["-j", "9" * 5000],
        ["-j" + "9" * 5000],
        ["--retries", "9" * 5000],
        ["--resource", "x=" + "9" * 5000],
    ):
        result = f0("run", "ok.yaml", *words)
        assert result.code == 2 and len(result.stderr.splitlines()) == 1, result.stderr


def test_a_deleted_directory_is_said_so(f0: F0, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for verb in ("run r.yaml", "validate r.yaml", "status", "init"):
        gone.mkdir()
        script = f'cd "$1" && rmdir "$1" && shift && exec "$@" {verb}'
        done = subprocess.run(
            ["sh", "-c", script, "sh", str(gone), *command()],
            capture_output=True,
            text=True,
            check=False,
            env=f0.environment(),
        )
        assert done.returncode == 2 and "has been deleted" in done.stderr, (verb, done.stderr)
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("pattern", ["*/" * 14 + "x", "**/*/" * 10 + "x"])
def test_links_in_a_circle_end(f0: F0, pattern: str) -> None:
    f0.write("/".join(f"e{n}" for n in range(25)) + "/file", "")
    for name in ("l1", "l2", "l3"):
        (f0.workspace / name).symlink_to(".")
    f0.write("r.yaml", STEP + f"    inputs: '{pattern}'\n    run: cat ${{{{ inputs }}}}\n")
    check(f0, "validate", "r.yaml")


def test_ctrl_c_ends_an_evaluation(f0: F0) -> None:
    f0.write(
        "r.yaml",
        LONG + STEP + "    run: |\n" + "      ${{ (config.a * 30) | upper | lower | length }}\n" * 3000,
    )
    process = subprocess.Popen([*command(), "validate", "r.yaml"], cwd=f0.workspace, env=f0.environment())
    time.sleep(1.5)
    process.send_signal(2)
    assert process.wait(30) in (-2, 130, 0)


def test_what_a_page_or_drawing_is_written_to(f0: F0) -> None:
    f0.write("ok.yaml", STEP + "    run: 'true'\n")
    f0.run(recipe="ok.yaml")
    f0.write("kept.html", "before")
    (f0.workspace / "link.html").symlink_to("kept.html")
    (f0.workspace / "recipe.html").symlink_to("ok.yaml")
    for verb in ("report", "graph"):
        for words in (["ok.yaml"], ["recipe.html"], [""], ["."], ["not/there.html"], ["ok.yaml/x.html"]):
            result = f0(verb, "ok.yaml", *(["--html"] if verb == "graph" else []), "-o", *words)
            assert result.code == 2 and len(result.stderr.splitlines()) == 1, (verb, words, result.stderr)
            assert STEP in f0.read("ok.yaml")
        assert f0(verb, "ok.yaml", "-o", "link.html").code == 0
        assert "<html" in f0.read("kept.html") and (f0.workspace / "link.html").is_symlink()
        f0.write("kept.html", "before")
        for out in ("-", "/dev/stdout"):
            result = f0(verb, "ok.yaml", *(["--html"] if verb == "graph" else []), "-o", out)
            assert result.code == 0 and "<html" in result.stdout and not f0.exists("-"), (verb, out)
        assert f0(verb, "ok.yaml", *(["--html"] if verb == "graph" else []), "-o", "/dev/null").code == 0
        assert Path("/dev/null").is_char_device()


def test_logs_that_are_no_files(f0: F0) -> None:
    f0.write("ok.yaml", STEP + "    run: echo hello; false\n")
    f0.run(recipe="ok.yaml", code=1)
    f0.write("private", "secret of mine")
    (log,) = (f0.workspace / ".f0make/logs").iterdir()
    for how in ("fifo", "link", "directory"):
        log.unlink()
        {"fifo": os.mkfifo, "link": lambda p: p.symlink_to("../../private"), "directory": Path.mkdir}[how](
            log
        )
        for words in ("log s", "status", "report ok.yaml"):
            code, stderr, _ = look(f0, *words.split())
            assert code in (0, 2) and "Traceback" not in stderr, (how, words, stderr)
            assert "secret of mine" not in f0(*words.split()).stdout

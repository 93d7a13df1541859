"""Output holds any name in any locale, and closed streams are no reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from f0make.cli.streams import shown, shown_block
from tests.support.f0 import F0, command

RECIPE = """\
steps:
  - name: a
    description: Zoë 日本
    outputs: out.txt
    run: echo hi > ${{ outputs }}
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_locale_cannot_show_is_escaped(f0: F0, encoding: str) -> None:
    f0.recipe(RECIPE)
    result = f0("list", "recipe.yaml", env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert result.code == 0
    wanted = {"ascii": "Zo\\xeb \\u65e5\\u672c", "latin-1": "Zo\udceb \\u65e5\\u672c", "utf-8": "Zoë 日本"}
    assert wanted[encoding] in result.stdout


def test_undecodable_names_go_out_as_they_came_in(f0: F0) -> None:
    result = f0("validate", "caf\udce9.yaml")
    assert result.code == 2
    assert "caf\udce9.yaml" in result.stderr


def test_a_reader_that_leaves_is_no_error(f0: F0) -> None:
    f0.recipe(
        "steps:\n" + "".join(f"  - name: s{n}\n    outputs: o{n}\n    run: 'true'\n" for n in range(300))
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command(), "list", "recipe.yaml"],
        cwd=f0.workspace,
        env=f0.environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_standard_output_is_said(f0: F0) -> None:
    f0.recipe(RECIPE)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command(), "list", "recipe.yaml"],
            cwd=f0.workspace,
            env=f0.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", "0<&-"])
def test_closed_streams_are_borne(f0: F0, closed: str) -> None:
    f0.recipe(RECIPE)
    text = " ".join([*command(), "run", "recipe.yaml", "--json", closed])
    done = subprocess.run(["sh", "-c", text], cwd=f0.workspace, env=f0.environment(), timeout=60, check=False)
    assert done.returncode == 0
    assert f0.read("out.txt") == "hi\n"


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert shown("a\x1b[31mb\nc\x9b") == "a\\x1b[31mb\\nc\\x9b"
    assert shown("Zoë \udce9") == "Zoë \udce9"
    assert shown_block("a\n\tb\x07") == "a\n\tb\\x07"


def test_stdout_is_left_alone_by_import() -> None:
    code = "import sys; before = sys.stdout.errors; import f0make.cli.app; print(before == sys.stdout.errors)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"

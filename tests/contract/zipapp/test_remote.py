"""The zipapp with hosts: they get their agent and their python steps' modules out of it, and need nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.f0 import events
from tests.support.remote_tools import Remote
from tests.support.sshd.host import unavailable
from tests.support.zipapp_tools import bare_python, lean

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

RECIPE = """\
steps:
  - name: shell
    runs_on: far
    inputs: in.txt
    outputs: shell.txt
    run: "{ cat in.txt; hostname; env; } > shell.txt"
  - name: scriptlet
    runs_on: far
    module: scriptlets.mine.upper
    function: Upper
    inputs: shell.txt
    outputs: upper.txt
  - name: here
    runs_on: local
    inputs: upper.txt
    outputs: here.txt
    run: cp upper.txt here.txt
"""
SCRIPTLET = """\
from scriptlets.core.base import BaseScriptlet


class Upper(BaseScriptlet):
    def run(self, ctx, params):
        with open("shell.txt") as source, open("upper.txt", "w") as target:
            target.write(source.readline().upper())
        return 0
"""


def test_runs_steps_on_a_host(remote: Remote, tmp_path: Path) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host, labels=["far"])
    remote.recipe(RECIPE)
    remote.write("in.txt", "hello\n")
    remote.write("scriptlets/mine/upper.py", SCRIPTLET)
    run = ["run", "recipe.yaml", "--json", "--hosts", str(remote.file), "-j1"]
    argv = [*remote.prefix, str(bare_python(tmp_path / "bare")), str(lean()), *run]
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(remote.client.home),
        "SHIV_ROOT": str(tmp_path / "root"),
    }
    done = subprocess.run(
        argv, cwd=remote.workspace, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places = {e["step"]: e.get("host") for e in events(done.stdout) if e["event"] == "step"}
    assert places["shell"] == places["scriptlet"] == "h1" and places["here"] != "h1"
    assert remote.read("here.txt") == "HELLO\n"
    assert "SHIV_" not in remote.read("shell.txt") and "PYTHONPATH" not in remote.read("shell.txt")
    again = subprocess.run(
        argv, cwd=remote.workspace, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert [e["current"] for e in events(again.stdout) if e["event"] == "summary"] == [3]

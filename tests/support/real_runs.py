"""Runs of the real command for tests that disturb them: started in a session of their own, heard, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.paths import PROJECT

_NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "SSH_AUTH_SOCK")


def start(
    words: list[str], workspace: Path, said: Path, environ: dict[str, str], prefix: list[str]
) -> subprocess.Popen[str]:
    """Start `f0make WORDS` in ``workspace``; its output goes to `events` and `errors` in the directory ``said``.

    ``environ`` is added to this process's environment, ``prefix`` stands before the command.
    """
    script = Path(sys.executable).parent / "f0make"
    command = [str(script)] if script.exists() else [sys.executable, "-m", "f0make"]
    env = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
    root = str(PROJECT)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
    env |= {"PYTHONFAULTHANDLER": "1", **environ}
    with open(said / "errors", "w") as errors, open(said / "events", "w") as events:
        return subprocess.Popen(
            [*prefix, *command, *words],
            cwd=workspace,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=events,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def step_events(said: Path) -> list[dict[str, Any]]:
    """The step events of the last run, a torn last line left out."""
    found = []
    for line in (said / "events").read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [e for e in found if e["event"] == "step"]


def end(process: subprocess.Popen[str]) -> None:
    """End a run that hangs, so that its `errors` tell where each of its threads was."""
    with suppress(subprocess.TimeoutExpired):
        os.kill(process.pid, signal.SIGABRT)
        process.wait(5.0)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

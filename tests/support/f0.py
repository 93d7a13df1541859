"""The installed command line, run in a workspace of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import zygote
from tests.support.paths import PROJECT

TIMEOUT = 60.0
"""Seconds after which a run that hangs has failed its test."""


STARTED = bool(os.environ.get("F0MAKE_TESTS_START"))
"""Whether every command is a process that is started: `make test STARTED=1`."""


def command() -> list[str]:
    """How f0make is started: the installed script where there is one, else the module."""
    script = Path(sys.executable).parent / "f0make"
    return [str(script)] if script.exists() else [sys.executable, "-m", "f0make"]


def _about_the_start(environment: Mapping[str, str]) -> bool:
    """Whether an environment differs from this process's in what an interpreter reads only when it starts."""
    return any(
        environment.get(name) != os.environ.get(name)
        for name in {*environment, *os.environ}
        if name.startswith(("PYTHON", "LC_", "LD_", "MALLOC_")) or name in ("LANG", "LANGUAGE", "TZ")
        if name != "PYTHONPATH" or environment.get(name, "").split(os.pathsep)[0] != str(PROJECT)
    )


def _text(data: bytes) -> str:
    """As `subprocess` reads it: UTF-8, other bytes as surrogates, every end of line as a newline."""
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")


@dataclass
class Result:
    """What one call of the command line came to."""

    code: int
    stdout: str
    stderr: str
    events: list[dict[str, Any]] = field(default_factory=list)
    """The lines of stdout, where all of them are JSON objects."""

    @property
    def summary(self) -> dict[str, Any]:
        """The last event."""
        assert self.events and self.events[-1]["event"] == "summary", (self.stdout, self.stderr)
        return self.events[-1]

    @property
    def states(self) -> dict[str, str]:
        """Instance -> status, from the step events."""
        return {e["step"]: e["status"] for e in self.events if e["event"] == "step"}

    @property
    def reasons(self) -> dict[str, str]:
        """Instance -> reason, from the step events."""
        return {e["step"]: e["reason"] for e in self.events if e["event"] == "step"}


def events(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text, one a line; none when there is anything else."""
    try:
        found = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return []
    return found if all(isinstance(event, dict) for event in found) else []


class F0:
    """The command line in ``workspace``: ``f0("run", "recipe.yaml", "--json")``."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.prefix: list[str] = []
        """Words before the command: what starts it somewhere else."""

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """This process's environment, f0make importable, no jobserver of a make above."""
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "COLUMNS")}
        root = str(PROJECT)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
        env.update(more or {})
        return env

    def __call__(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        input: str | None = None,
    ) -> Result:
        """Run to the end, see `Started`. Output is read as UTF-8, other bytes as surrogates."""
        done = self._done(args, env, timeout, input)
        own = re.sub(r"^--- log of .*?^---$", "", done.stderr, flags=re.M | re.S)
        assert "Traceback (most recent call last)" not in own or "--debug" in args, done.stderr
        return Result(shell_code(done.returncode), done.stdout, done.stderr, events(done.stdout))

    def _done(
        self, args: tuple[str, ...], env: Mapping[str, str] | None, timeout: float, input: str | None
    ) -> subprocess.CompletedProcess[str]:
        """One call. Started where the start matters, else forked from a process that has imported f0make."""
        argv = [*self.prefix, *command(), *args]
        environment = self.environment(env)
        if self.prefix or STARTED or len(command()) > 1 or _about_the_start(environment):
            return subprocess.run(
                argv,
                cwd=self.workspace,
                env=environment,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                timeout=timeout,
                check=False,
            )
        fed = None if input is None else input.encode("utf-8", "surrogateescape")
        code, out, err = zygote.run(argv[0], list(args), str(self.workspace), environment, fed, timeout)
        return subprocess.CompletedProcess(argv, code, _text(out), _text(err))

    def run(self, *args: str, recipe: str = "recipe.yaml", code: int | None = 0, **how: Any) -> Result:
        """`f0make run --json`, with the exit code that is expected (None: any)."""
        result = self("run", recipe, "--json", *args, **how)
        assert code is None or result.code == code, (result.code, result.stdout, result.stderr)
        return result

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start in the background, as the leader of a process group of its own."""
        return subprocess.Popen(
            [*self.prefix, *command(), *args],
            cwd=self.workspace,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
        )

    def recipe(self, text: str, name: str = "recipe.yaml") -> Path:
        """Write a recipe."""
        return self.write(name, text)

    def write(self, path: str, text: str | bytes, mode: int | None = None) -> Path:
        """Write a file, with the directories above it."""
        full = self.workspace / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
        if mode is not None:
            full.chmod(mode)
        return full

    def read(self, path: str) -> str:
        """The text of a file."""
        return (self.workspace / path).read_bytes().decode("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        """Whether anything lies at ``path``."""
        return os.path.lexists(self.workspace / path)


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT, timeout: float = 20.0) -> Result:
    """Send a signal to a started f0make and wait for its end."""
    process.send_signal(number)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()  # what an interrupt did not end does not outlive its test
        process.communicate()
        raise
    return Result(shell_code(process.returncode), stdout, stderr, events(stdout))


def shell_code(returncode: int) -> int:
    """What a shell's ``$?`` says where a parent process sees ``returncode``: 130 of a command that SIGINT ended."""
    return 128 - returncode if returncode < 0 else returncode

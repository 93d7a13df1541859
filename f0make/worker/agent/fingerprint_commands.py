"""Fingerprint commands on a host: each list of them in a process of its own, so that the agent goes on meanwhile.

Part of what is sent.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping

from f0make.worker.shell_command import default_shell

SECONDS = 60
"""A command that takes longer has failed."""


class Question:
    """One list of commands that runs in a fork of this process; ``line`` is readable when there is news of it."""

    def __init__(self, number: int, commands: list[str], place: str, environ: Mapping[bytes, bytes]) -> None:
        """Begin. Raises OSError. The calling process must have a single thread."""
        self.number = number
        self._said = b""
        self.line, theirs = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                _let_go(theirs)
                said = json.dumps(_take(commands, place, environ)).encode("ascii")
                while said:
                    said = said[os.write(theirs, said) :]
            finally:
                os._exit(0)
        os.close(theirs)

    def heard(self) -> list[object] | None:
        """[number, outputs or null, what went wrong] when all has ended, None before."""
        data = os.read(self.line, 1 << 16)
        if data:
            self._said += data
            return None
        os.close(self.line)
        os.waitpid(self.pid, 0)
        try:
            texts, error = json.loads(self._said)
        except ValueError:
            texts, error = None, "its process was killed"
        return [self.number, texts, error]


def _take(commands: list[str], place: str, environ: Mapping[bytes, bytes]) -> tuple[list[str] | None, str]:
    texts = []
    for command in commands:
        try:
            done = subprocess.run(
                [*default_shell(), "-c", command],
                cwd=place,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"fingerprint {command!r} took longer than {SECONDS} s"
        except OSError as error:
            return None, f"fingerprint {command!r}: {error.strerror}"
        if done.returncode:
            said = os.fsdecode(done.stderr).strip().splitlines()[-1:]
            detail = f": {said[0]}" if said else ""
            return None, f"fingerprint {command!r} ended with {done.returncode}{detail}"
        texts.append(os.fsdecode(done.stdout).strip())
    return texts, ""


def _let_go(kept: int) -> None:
    """Close all that the agent has open: its connection must end with it."""
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        if fd > 2 and fd != kept:
            try:
                os.close(fd)
            except OSError:
                continue

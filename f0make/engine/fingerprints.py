"""Output of `fingerprint` commands: taken in a run, read back from the records everywhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping

from f0make.model import Instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.store.record_store import Store

SECONDS = 60
"""A fingerprint command that takes longer is an error: it runs before every decision."""


class FingerprintError(OSError):
    """A fingerprint command failed; its text says which and how."""


class Taken:
    """Runs each command once a run for each environment that it is declared with."""

    def __init__(self, workspace: str, environ: Mapping[str, str]) -> None:
        self.workspace = workspace
        self.environ = environ
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}

    def __call__(self, instance: Instance) -> list[list[str]]:
        """What `of` says, as the only possibility. Raises FingerprintError."""
        return [self.of(instance)]

    def of(self, instance: Instance) -> list[str]:
        """Standard output of each of the instance's commands, in order. Raises FingerprintError."""
        env = tuple(sorted(instance.env.items()))
        return [self._take(command, env) for command in instance.fingerprint]

    def _take(self, command: str, env: tuple[tuple[str, str], ...]) -> str:
        if (command, env) not in self._known:
            import subprocess

            from f0make.worker.shell_command import default_shell

            try:
                done = subprocess.run(
                    [*default_shell(), "-c", command],
                    cwd=self.workspace,
                    env={**self.environ, **dict(env)},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise FingerprintError(f"fingerprint {command!r} took longer than {SECONDS} s") from None
            if done.returncode:
                said = os.fsdecode(done.stderr).strip().splitlines()[-1:]
                detail = f": {said[0]}" if said else ""
                raise FingerprintError(f"fingerprint {command!r} ended with {done.returncode}{detail}")
            self._known[command, env] = os.fsdecode(done.stdout).strip()
        return self._known[command, env]


class Recorded:
    """The output as last recorded: for plans, which execute nothing."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, instance: Instance) -> list[list[str]] | None:
        """What `of` says, as the only possibility."""
        texts = self.of(instance)
        return None if texts is None else [texts]

    def of(self, instance: Instance) -> list[str] | None:
        """Recorded output of each command, None when one was never recorded."""
        latest = self.store.latest(instance.name) or {}
        parts = latest.get("parts", {})
        texts = [parts.get(f"fingerprint {command}") for command in instance.fingerprint]
        return None if None in texts else texts

"""The values of a recipe's secrets: from the environment or from files, to the steps that list them and nowhere else."""

from __future__ import annotations

import os

from f0make.errors import Problem, UsageError
from f0make.files import user_key
from f0make.files.sealed_files import blake2b
from f0make.regular_file import read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from f0make.model import Instance, Step

MOST_BYTES = 64 << 10
"""Bytes of a secret."""
TEAM_KEY = "F0MAKE_SECRETS_KEY"
"""Variable with a secret that several users share: then what their steps made with equal secrets is shared, too."""
_PERSON = b"f0make secret"


class Secrets:
    """The secrets that ``declared`` (name -> file, or "" for the environment) names, read when they are asked for."""

    def __init__(
        self, declared: Mapping[str, str], workspace: str, environ: Mapping[str, str], create: bool
    ) -> None:
        """``create``: make the user's key where there is none."""
        self._declared = declared
        self._workspace = workspace
        self._environ = {
            name: environ[name] for name, file in declared.items() if not file and name in environ
        }
        self._values: dict[str, str] = {}
        self._key = environ.get(TEAM_KEY, "").encode("utf-8", "surrogateescape") or user_key.key(create)

    @property
    def from_environment(self) -> list[str]:
        """Variables of f0make's that no step inherits."""
        return [TEAM_KEY, *(name for name, file in self._declared.items() if not file)]

    def missing(self, name: str) -> str | None:
        """Why the secret ``name`` cannot be had; None when it can."""
        try:
            self.value(name)
        except UsageError as error:
            return str(error)
        return None

    def value(self, name: str) -> str:
        """The secret. Raises UsageError."""
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def _read(self, name: str) -> str:
        file = self._declared[name]
        if not file:
            if not self._environ.get(name):
                state = "is empty" if name in self._environ else "is not set"
                raise UsageError(f"secret {name} {state} in the environment")
            return self._environ[name]
        try:
            data = read_regular(os.path.join(self._workspace, os.path.expanduser(file)), MOST_BYTES)
        except OSError as error:
            raise UsageError(f"secret {name}: its file {file} {_reason(error)}") from None
        text = os.fsdecode(data.removesuffix(b"\n").removesuffix(b"\r"))
        if not text or "\0" in text:
            raise UsageError(f"secret {name}: its file {file} {'holds a NUL byte' if text else 'is empty'}")
        return text

    def variables(self, instance: Instance) -> dict[str, str]:
        """The variables of ``instance``. Raises UsageError."""
        return {name: self.value(name) for name in instance.step.secrets}

    def parts(self, instance: Instance) -> dict[str, Any]:
        """What they are in the key of ``instance``: values cannot be tried without the key. Raises UsageError."""
        return {f"secret.{name}": self._digest(name) for name in instance.step.secrets}

    def _digest(self, name: str) -> str:
        if self._key is None:
            self._key = os.urandom(user_key.SIZE)  # nothing is current, and nothing is given away
        key = blake2b(self._key, digest_size=32).digest()
        text = f"{name}\0{self.value(name)}".encode("utf-8", "surrogateescape")
        return blake2b(text, key=key, person=_PERSON, digest_size=32).hexdigest()

    def problems(self, steps: Iterable[Step]) -> list[Problem]:
        """A problem for each secret that one of ``steps`` lists and that cannot be had."""
        found: dict[str, Problem] = {}
        for step in steps:
            for name in step.secrets:
                if name not in found and (why := self.missing(name)) is not None:
                    found[name] = Problem(why, step.where("secrets"), f"{step.name}.secrets")
        return list(found.values())


def _reason(error: OSError) -> str:
    return "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"

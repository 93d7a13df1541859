"""The key of an instance: a digest of everything its result depends on, and the named parts behind it.

Pure. The parts are kept in the record so that `f0make why` can name the one that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from f0make.ascii_json import dumper
from f0make.files.sha import sha256
from f0make.model import DEFAULT_SHELL, Instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


KEY_VERSION = 2
"""Goes into every key; raised when the same recipe must get new keys."""

Parts: TypeAlias = "dict[str, Any]"

_dumps = dumper(sort_keys=True)


def declared_parts(instance: Instance, code: str | None, fingerprints: Sequence[str]) -> Parts:
    """Every part but the inputs, by the names that `f0make why` uses.

    ``code``: digest of the python code (python steps); ``fingerprints``: output of each `fingerprint` command.
    An instance without outputs is told apart by its name, one with outputs by them.
    """
    parts: Parts = {}
    keyed = instance.keyed
    args, env = instance.args, instance.env
    if keyed:
        args, env = {**args, **keyed.get("args", {})}, {**env, **keyed.get("env", {})}
    if instance.command is not None:
        parts["command"] = keyed.get("command", instance.command)
        shell = keyed.get("shell", instance.shell)
        if shell not in (None, DEFAULT_SHELL):
            parts["shell"] = shell
    if instance.module is not None:
        parts["function"] = f"{instance.module}:{instance.function}"
        parts["code"] = code
        if instance.python:
            parts["python"] = instance.python
        for name, value in sorted(args.items()):
            parts[f"args.{name}"] = value
    for name, value in sorted(env.items()):
        parts[f"env.{name}"] = value
    for command, text in zip(instance.fingerprint, fingerprints, strict=True):
        parts[f"fingerprint {command}"] = text
    if instance.depfile:
        parts["depfile"] = instance.depfile
    if instance.outputs:
        parts["outputs"] = sorted(o.path + ("/" if o.directory else "") for o in instance.outputs)
    else:
        parts["name"] = instance.name
    # A result is only as good as the check it passed: a stricter one must see it again.
    required = instance.ctx_has_keys
    if instance.not_empty or instance.exit_codes != [0] or required:
        parts["success"] = [instance.not_empty, instance.exit_codes, required]
    extra = keyed.get("extra", instance.extra)
    if extra:
        from f0make.recipe.keys import extra_parts

        parts.update(extra_parts(extra))
    return parts


def key_of(parts: Parts, inputs: Mapping[str, str]) -> str:
    """The key, 64 hex digits: SHA-256 of the canonical JSON of version, parts and input tokens."""
    return sha256(_dumps([KEY_VERSION, parts, inputs]).encode("ascii")).hexdigest()

"""Whether a record that came over the network has the form of one, and names no path outside of its outputs. Pure."""

from __future__ import annotations

import re
from typing import Any

from f0make.files.digest import EMPTY_DIR, tree_token

_FILE = re.compile(r"[0-9a-f]{64}x?|@[0-9a-f]{64}(\+.*)?", re.DOTALL)
_TREE = re.compile(r"[0-9a-f]{64}/")
_NUMBERS = ("started", "seconds", "cpu_seconds", "peak_mem", "read", "written", "energy_kwh", "carbon_g")
_MAPS = ("parts", "inputs", "discovered", "reads", "sources", "test_meta")


def sound(record: Any, key: str) -> bool:
    """Whether ``record`` can be taken for a record of ``key``."""
    if not isinstance(record, dict) or record.get("key") != key or not isinstance(record.get("step"), str):
        return False
    if not all(isinstance(record.get(name, {}), dict) for name in (*_MAPS, "trees")):
        return False
    if not all(isinstance(record.get(name, 0), (int, float)) for name in _NUMBERS):
        return False
    missing, writes = record.get("missing_reads", []), record.get("writes", [])
    if not isinstance(missing, list) or not all(isinstance(name, str) for name in missing):
        return False
    if not isinstance(writes, list) or not all(_is_write(write) for write in writes):
        return False
    return _outputs(record.get("outputs"), record.get("trees", {}))


def _is_write(write: Any) -> bool:
    return isinstance(write, dict) and isinstance(write.get("key"), str) and "value" in write


def _outputs(outputs: Any, trees: dict[str, Any]) -> bool:
    if not isinstance(outputs, dict) or not all(isinstance(token, str) for token in outputs.values()):
        return False
    for path, token in outputs.items():
        tree = trees.get(path)
        if tree is None:
            if not _FILE.fullmatch(token):
                return False
        elif not _TREE.fullmatch(token) or not _tree(tree) or tree_token(tree) != token:
            return False
    return all(path in outputs for path in trees)


def _tree(tree: Any) -> bool:
    return isinstance(tree, dict) and all(
        isinstance(token, str)
        and (token == EMPTY_DIR or _FILE.fullmatch(token) is not None)
        and not any(part in ("", ".", "..") for part in relative.split("/"))
        and "\0" not in relative
        for relative, token in tree.items()
    )

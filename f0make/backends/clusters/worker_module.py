"""The module that is sent to workers: the text of `glue`, and f0make's archive inside of it."""

from __future__ import annotations

import sys
from base64 import b85encode
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any

from f0make.backends.shipped_code import archive


@cache
def loaded() -> Any:
    """That module, executed here: the engines name its functions to workers by reference."""
    name, source = module()
    found = ModuleType(name)
    sys.modules[name] = found
    exec(compile(source, f"{name}.py", "exec"), found.__dict__)
    return found


@cache
def module() -> tuple[str, str]:
    """(name, source) of the module. The name holds a digest: versions of f0make do not meet on one worker."""
    from hashlib import sha256

    source = files("f0make.worker.cluster").joinpath("worker_main.py").read_text(encoding="utf-8")
    packed = b85encode(archive()[1]).decode("ascii")
    source += f'\n\nfrom base64 import b85decode  # noqa: E402\n\nARCHIVE = b85decode("{packed}")\n'
    return f"f0make_worker_{sha256(source.encode()).hexdigest()[:16]}", source

"""The module that is sent to workers: the text of `glue`, and f0make's archive inside of it."""

from __future__ import annotations

import sys
from base64 import b85encode
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any

from f0make.backends.ssh.agent_zip import archive

MORE = (
    *("worker/cluster/__init__.py", "worker/cluster/step_process.py", "worker/cluster/child_stores.py"),
    *("worker/frames.py", "worker/agent/outcome_digests.py"),
    *(
        "cache/http/__init__.py",
        "cache/http/action_result.py",
        "cache/http/server_address.py",
        "cache/http/http_client.py",
    ),
    *(
        "cache/http/credentials.py",
        "cache/http/request_deadline.py",
        "cache/http/http_factory.py",
        "cache/http/request_threads.py",
    ),
    *("cache/http/remote_store.py", "cache/http/http_errors.py"),
)
"""What a child needs beside the modules that run steps on hosts: also standard library only, read by Python 3.9."""


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
    packed = b85encode(archive(MORE)[1]).decode("ascii")
    source += f'\n\nfrom base64 import b85decode  # noqa: E402\n\nARCHIVE = b85decode("{packed}")\n'
    return f"f0make_worker_{sha256(source.encode()).hexdigest()[:16]}", source

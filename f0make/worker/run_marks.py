"""What tells whose a step's processes and files are: a variable in its environment, a directory for its scripts."""

from __future__ import annotations

import os

from f0make import STATE

RUN = os.path.join(STATE, "run")
"""Directory, relative to the workspace, of what is under way: the journal of processes, scripts, unfinished files."""
TRANSIT = os.path.join(RUN, "transit")
"""Directory for what hosts have sent, until it is where it belongs."""
VARIABLE = "F0MAKE_WORKSPACE"
"""Environment variable of every process of a step; holds the ids of the workspaces it works for, ``:`` between."""


def workspace_id(workspace: str) -> str:
    """Identify a workspace wherever it is moved on its file system: device and inode in hex. Raises OSError."""
    st = os.stat(workspace)
    return f"{st.st_dev:x}.{st.st_ino:x}"


def marker(workspace: str, inherited: str) -> str:
    """Value of F0MAKE_WORKSPACE for steps of ``workspace`` when f0make itself was started with ``inherited``."""
    own = workspace_id(workspace)
    parts = [part for part in inherited.split(":") if part]
    return ":".join(parts if own in parts else [*parts, own])

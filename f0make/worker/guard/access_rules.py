"""What a step may read and write. Pure: paths are absolute and without symlinks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from f0make.fast_dataclass import dataclass, field

SYSTEM = (
    *(
        "/usr/",
        "/bin/",
        "/sbin/",
        "/lib/",
        "/lib32/",
        "/lib64/",
        "/libx32/",
        "/etc/",
        "/opt/",
        "/nix/",
        "/gnu/",
    ),
    *("/snap/", "/proc/", "/sys/", "/dev/", "/run/", "/var/lib/", "/var/cache/", "/boot/"),
)
"""Where a system keeps its own files."""
DEVICES = ("/dev/", "/proc/")
"""Where opening for writing changes no file: devices, descriptors, and memory that is shared by name."""
_NAME_SERVICES = (
    *("/run/nscd/", "/run/nslcd/", "/run/systemd/userdb/", "/run/systemd/resolve/", "/run/systemd/journal/"),
    *("/var/lib/sss/pipes/", "/run/samba/winbindd/", "/run/avahi-daemon/"),
)
"""Sockets that the C library itself asks for users and hosts, and those of the system's log."""
_INSIDE = re.compile(r"/proc/\d+/(task/\d+/)?(mem|map_files|root|cwd)(/|$)")
"""The memory of a process, and file systems that only it sees: no way around what is watched."""


@dataclass
class Rules:
    """``files`` and ``trees`` (these end with a slash) that may be read or written."""

    workspace: str
    """With a slash at its end: nothing in it belongs to the system, but for ``tools``."""
    reads: set[str] = field(default_factory=set)
    read_trees: tuple[str, ...] = ()
    writes: set[str] = field(default_factory=set)
    write_trees: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """Trees of programs that do not belong to the system: a Python, what PATH leads to."""
    replaced: tuple[str, ...] = ()
    """Those of ``write_trees`` that the step may make and remove itself."""
    open_files: tuple[str, ...] = ()
    """Files that are open for the step from the start, and may be opened again (`/dev/stdout`): their names may change."""

    def of_system(self, path: str) -> bool:
        """Whether ``path`` belongs to the system or to a tool."""
        if path.startswith("/proc/") and _INSIDE.match(path):
            return False
        if path.startswith(self.tools):
            return True
        return path.startswith(SYSTEM) and not path.startswith(self.workspace)

    def may_read(self, path: str) -> bool:
        """Whether the file ``path`` may be read."""
        if path in self.reads or path.startswith(self.read_trees) or self.may_write(path):
            return True
        source = _source_of(path)
        return self.of_system(path) or (source is not None and source in self.reads)

    def may_write(self, path: str) -> bool:
        """Whether ``path`` may be made, changed or removed."""
        if path in self.writes or path.startswith(self.write_trees) or f"{path}/" in self.write_trees:
            return True
        if path.startswith(self.workspace):
            return False
        return path.startswith(DEVICES) and not (path.startswith("/proc/") and _INSIDE.match(path))

    def may_connect(self, path: str) -> bool:
        """Whether the step may talk to who listens at the socket ``path``: its own processes, and what looks up names."""
        return self.may_write(path) or path.startswith(_NAME_SERVICES)

    def may_make(self, path: str) -> bool:
        """Whether the directory ``path`` may be made: those that lead to outputs may."""
        below = f"{path}/"
        return self.may_write(path) or any(out.startswith(below) for out in (*self.writes, *self.write_trees))


def _source_of(path: str) -> str | None:
    """The Python source that a cached bytecode file stands for, which is what a step means to read."""
    directory, mark, name = path.rpartition("/__pycache__/")
    return f"{directory}/{name.split('.')[0]}.py" if mark and name.endswith(".pyc") else None


def trees(paths: Iterable[str]) -> tuple[str, ...]:
    """``paths`` of directories in the form of `Rules`."""
    return tuple(dict.fromkeys(path.rstrip("/") + "/" for path in paths))

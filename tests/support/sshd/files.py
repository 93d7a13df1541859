"""The files of a host: sshd's configuration, users, home directories, the programs on its PATH."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .keys import pair

UID = 54321
"""The plain user of a host; no such user exists outside."""

TOOLS = """
    sh bash cat cp mv rm ln ls mkdir rmdir chmod touch sleep env uname id true false test printf echo head tail
    sort uniq wc tr cut sed awk gawk mawk grep dd df du find xargs tee seq date sha256sum md5sum kill ps setsid
    nohup timeout tar gzip gunzip zstd stat readlink realpath dirname basename mktemp sync od cmp diff nproc
    expr yes hostname scp
"""
"""What is on the PATH of a host that has no python3."""


@dataclass(frozen=True)
class Layout:
    """Where things lie, as the host sees them (``seen``) and as the test does (``here``)."""

    here: Path
    seen: Path
    user: str
    home: str

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        """Write a file below the host's own directory; returns its path as the host sees it."""
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return str(self.seen / name)


def host_key(layout: Layout, kind: str = "ed25519") -> str:
    """Make the host's key (again: a changed one); returns its public line."""
    return pair(layout.here / "host_key", kind)


def configuration(
    layout: Layout, authorized: str, path: str, port: int, listen: tuple[str, ...], more: str, env: str
) -> str:
    """Write sshd_config, ``more`` lines at its end; returns its path as the host sees it."""
    layout.write("authorized_keys", authorized + "\n", 0o644)
    lines = [
        f"Port {port}",
        *[f"ListenAddress {address}" for address in listen],
        f"HostKey {layout.seen}/host_key",
        f"PidFile {layout.seen}/sshd.pid",
        f"AuthorizedKeysFile {layout.seen}/authorized_keys",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "MaxStartups 100:30:200",
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "LogLevel VERBOSE",
        "Subsystem sftp internal-sftp",
        f"SetEnv PATH={path} {env}",
        more,
    ]
    return layout.write("sshd_config", "\n".join(lines) + "\n")


def users(layout: Layout, shell: str) -> None:
    """passwd, group and shadow with root and one plain user."""
    passwd = [
        f"root:x:0:0:root:/home/root:{shell}",
        f"{layout.user}:x:{UID}:{UID}::{layout.home}:{shell}",
        "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin",
        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin",
    ]
    layout.write("passwd", "\n".join(passwd) + "\n", 0o644)
    layout.write("group", f"root:x:0:\n{layout.user}:x:{UID}:\nnogroup:x:65534:\n", 0o644)
    names = ("root", layout.user, "sshd", "nobody")
    layout.write("shadow", "".join(f"{name}:*:19000:0:99999:7:::\n" for name in names))


def homes(layout: Layout) -> None:
    """Home directories, and a `/tmp` of the host's own."""
    for name in ("home", "tmp", "bin"):
        (layout.here / name).mkdir(exist_ok=True)
    (layout.here / "tmp").chmod(0o1777)
    for name, uid in {layout.user: UID, "root": 0}.items():
        home = layout.here / "home" / name
        home.mkdir(mode=0o755)
        if os.geteuid() == 0 and layout.seen != layout.here:
            os.chown(home, uid, uid)


def tools(layout: Layout) -> None:
    """Fill `bin` with links to plain tools, for a host that has nothing else on its PATH."""
    for name in TOOLS.split():
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if found:
            (layout.here / "bin" / name).symlink_to(found)


def python(layout: Layout, executable: str) -> None:
    """Put `python3` first on the host's PATH."""
    link = layout.here / "bin" / "python3"
    link.unlink(missing_ok=True)
    link.symlink_to(executable)

"""SSH key pairs."""

from __future__ import annotations

import subprocess
from pathlib import Path


def pair(path: Path, kind: str = "ed25519", comment: str = "test", passphrase: str = "") -> str:
    """Make a key pair at ``path`` and ``path``.pub; returns the public line."""
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", comment, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path.with_name(path.name + ".pub").read_text().strip()


def known(address: str, port: int, public: str) -> str:
    """The line of a known_hosts file for a host with the key ``public``."""
    name = address if port == 22 else f"[{address}]:{port}"
    return f"{name} {' '.join(public.split()[:2])}\n"

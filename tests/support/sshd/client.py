"""The user's side: a home directory with keys, known hosts and an ssh configuration, and hosts files."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from .host import Host, namespaces
from .keys import pair
from .proxy import Proxy

Place = Host | Proxy


class Client:
    """A user here with a key pair of their own."""

    def __init__(self, below: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="f0make-user-", dir=below))
        self.ssh = self.home / ".ssh"
        self.ssh.mkdir(mode=0o700)
        self.key = self.ssh / "id_ed25519"
        self.public = pair(self.key)
        self.known_hosts = self.ssh / "known_hosts"
        self.known_hosts.write_text("")
        passwd = Path("/etc/passwd").read_text().splitlines()
        uid = str(self.home.stat().st_uid)
        self._passwd = self.home / "passwd"
        self._passwd.write_text("".join(self._moved(line, uid) + "\n" for line in passwd))

    def _moved(self, line: str, uid: str) -> str:
        words = line.split(":")
        if len(words) == 7 and words[2] == uid:
            words[5] = str(self.home)
        return ":".join(words)

    @property
    def prefix(self) -> list[str]:
        """The words before a command that let OpenSSH, too, take ``home`` for the user's: it asks passwd, not HOME."""
        if namespaces():
            return []
        script = 'mount --bind "$0" /etc/passwd && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self._passwd)]

    def trust(self, *hosts: Place) -> None:
        """Know the keys of ``hosts``, and of no other."""
        self.known_hosts.write_text("".join(host.known for host in hosts))

    def config(self, text: str) -> None:
        """Write the user's ssh configuration."""
        (self.ssh / "config").write_text(text)

    def options(self, host: Place) -> list[str]:
        """What lets `ssh` and `scp` in at ``host`` with nothing else of the user's configuration."""
        words = [f"IdentityFile={self.key}", "IdentitiesOnly=yes", f"UserKnownHostsFile={self.known_hosts}"]
        words += ["BatchMode=yes", f"Port={host.port}"]
        return ["-F", "none", *[part for word in words for part in ("-o", word)]]

    def ssh_argv(self, host: Place, *command: str) -> list[str]:
        """An `ssh` to ``host``."""
        return ["ssh", *self.options(host), f"{host.user}@{host.address}", *command]

    def run(self, host: Place, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command at ``host`` over plain ssh."""
        return subprocess.run(
            self.ssh_argv(host, *command),
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def item(self, host: Place, **more: object) -> str:
        """The item of a hosts file for ``host``; ``more`` are keys that are added, or replaced, or left out (None)."""
        keys: dict[str, object] = {
            "name": host.name,
            "address": host.address,
            "port": host.port,
            "user": host.user,
            "key": self.key,
            "known_hosts": self.known_hosts,
        }
        if namespaces():  # Then the home directory there is the tester's own.
            keys["workdir"] = f"{host.layout.home}/.cache/f0make"
        keys |= more
        lines = []
        for name, value in keys.items():
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                lines += [f"{name}:", *[f"  - {v}" for v in value]]
            elif isinstance(value, dict):
                lines += [f"{name}:", *[f"  {k}: {v}" for k, v in value.items()]]
            else:
                lines.append(f"{name}: {value}")
        return "  - " + "\n    ".join(lines) + "\n"

    def hosts_file(self, path: Path, *items: str) -> Path:
        """Write a hosts file."""
        path.write_text("hosts:\n" + "".join(items))
        return path

    def close(self) -> None:
        """Remove the home directory."""
        shutil.rmtree(self.home, ignore_errors=True)

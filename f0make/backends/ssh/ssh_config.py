"""What the user's ssh config says about a host, as OpenSSH itself reads it (`ssh -G`), and the files it names."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from f0make.backends.ssh.host import Host


@dataclass(slots=True)
class Target:
    """Where and how to connect."""

    name: str
    address: str
    port: int
    user: str
    keys: list[str] = field(default_factory=list)
    """Paths of private keys that exist."""
    only_keys: bool = False
    """The agent's other keys are not tried."""
    known_hosts: list[str] = field(default_factory=list)
    """Paths; new keys are added to the first."""
    key_name: str = ""
    """Under which the host's key is known (HostKeyAlias), empty: its address."""
    jumps: list[str] = field(default_factory=list)
    """``[user@]host[:port]`` one after the other."""
    proxy: str = ""
    """Shell command whose standard streams lead there."""

    @property
    def known_as(self) -> str:
        """The name of the host in files of known hosts."""
        name = self.key_name or self.address
        return name if self.port == 22 or self.key_name else f"[{name}]:{self.port}"


def target_of(host: Host, ask: Callable[[str], dict[str, list[str]]] | None = None) -> Target:
    """How to connect to ``host``: what it says itself, then what the user's ssh config says for its name."""
    ask = ask or ask_ssh
    said = ask(host.name)
    if host.address and _first(said, "hostname", host.name) == host.name:
        said = ask(host.address)
    keys = [os.path.expanduser(path) for path in ([host.key] if host.key else said.get("identityfile", []))]
    known = [host.known_hosts] if host.known_hosts else _words(said, "userknownhostsfile")
    known = known or ["~/.ssh/known_hosts"]
    if not host.known_hosts:
        known += _words(said, "globalknownhostsfile") or ["/etc/ssh/ssh_known_hosts"]
    target = Target(
        host.name,
        host.address or _first(said, "hostname", host.name),
        host.port or int(_first(said, "port", "22")),
        host.user or _first(said, "user", _user()),
        [path for path in keys if os.path.exists(path) or host.key],
        bool(host.key) or _first(said, "identitiesonly", "no") == "yes",
        [os.path.expanduser(path) for path in known],
        _first(said, "hostkeyalias", ""),
    )
    jump, proxy = _first(said, "proxyjump", "none"), " ".join(said.get("proxycommand", ["none"])[:1])
    jumps = [] if jump == "none" else [word.removeprefix("ssh://") for word in jump.split(",")]
    expanded = "" if proxy == "none" else _expand(proxy, target)
    return replace(target, jumps=jumps, proxy=expanded)


def ask_ssh(name: str) -> dict[str, list[str]]:
    """What `ssh -G` says for ``name``: keyword in small letters -> values; empty without OpenSSH."""
    words = ["ssh"]
    home = os.environ.get("HOME", "")
    own = os.path.join(home, ".ssh", "config")
    # OpenSSH looks in the home that the system knows, whatever HOME says.
    if home and os.path.realpath(home) != os.path.realpath(_system_home()) and os.path.exists(own):
        words += ["-F", own]
    try:
        ended = subprocess.run(
            [*words, "-G", "--", name], capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, list[str]] = {}
    for line in ended.stdout.splitlines() if ended.returncode == 0 else ():
        key, _, value = line.partition(" ")
        found.setdefault(key.lower(), []).append(value)
    return found


def split_address(text: str) -> tuple[str, str, int]:
    """(user, address, port) of ``[user@]address[:port]`` or ``[user@][v6]:port``; "" and 0 where not given.

    Raises ValueError.
    """
    user, _, rest = text.rpartition("@")
    if rest.startswith("["):
        address, bracket, tail = rest[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError(f"{text}: expected [address]:port")
        port = tail[1:]
        if tail and not port:
            raise ValueError(f"{text}: no port after the colon")
    elif rest.count(":") > 1:
        address, port = rest, ""  # An IPv6 address without a port.
    else:
        address, colon, port = rest.partition(":")
        if colon and not port:
            raise ValueError(f"{text}: no port after the colon")
    if ":" in address and not _is_v6(address):
        raise ValueError(f"{text}: {address!r} is no IPv6 address")
    if not address or ("@" in text and not user) or len(text.split()) != 1:
        raise ValueError(f"{text}: expected [user@]address[:port]")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{text}: {port!r} is no port")
    return user, address, int(port or 0)


def _is_v6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except OSError:
        return False
    return True


def _first(said: dict[str, list[str]], key: str, default: str) -> str:
    return said.get(key, [default])[0] or default


def _words(said: dict[str, list[str]], key: str) -> list[str]:
    return shlex.split(_first(said, key, "")) if key in said else []


def _expand(command: str, target: Target) -> str:
    values = {"%h": target.address, "%p": str(target.port), "%r": target.user, "%n": target.name, "%%": "%"}
    for sign, value in values.items():
        command = command.replace(sign, value)
    return command


def _user() -> str:
    import getpass

    return getpass.getuser()


def _system_home() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""

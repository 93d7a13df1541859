"""SSH connections by paramiko: host keys checked, jumps followed, every failure told in one line."""

from __future__ import annotations

import logging
import shlex
import socket
import time
from typing import Any

from f0make.backends.ssh import host_keys
from f0make.backends.ssh.fast_packets import Packets
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.host_keys import Refused
from f0make.backends.ssh.lean_paramiko import paramiko
from f0make.backends.ssh.ssh_config import Target, split_address, target_of

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Preferred: much less work than AES-CTR with a separate MAC."""
_WINDOW = 16 << 20
"""Bytes that a host may send before they are read."""
_LOGIN = 5.0
"""Seconds, at least, for logging in once a host has answered."""


logging.getLogger("paramiko").addHandler(logging.NullHandler())  # What goes wrong is told in one line, below.


class Unreachable(Exception):
    """No connection; the text names the host and the reason."""


class Connection:
    """A transport, with the transports of the jumps that it goes through."""

    def __init__(
        self, transport: paramiko.Transport, below: Connection | None = None, remark: str = ""
    ) -> None:
        self.transport = transport
        self.remark = remark
        """What a person should know of how it came about; mostly empty."""
        self._below = below

    def close(self) -> None:
        """Close it; whatever runs at the other end notices. Does not wait for what a jump host may not take."""
        if self._below is not None:
            self._below.close()
        self.transport.close()


def connect(host: Host, patience: Patience) -> Connection:
    """Connect to ``host`` and log in. Raises Refused and Unreachable."""
    return _reach(host, target_of(host), patience, time.monotonic() + patience.connect)


def _reach(host: Host, target: Target, patience: Patience, until: float) -> Connection:
    below: Connection | None = None
    try:
        sock: Any
        if target.proxy:
            sock = paramiko.ProxyCommand(target.proxy)
        elif target.jumps:
            below = _jump(host, target, patience, until)
            sock = below.transport.open_channel(
                "direct-tcpip", (target.address, target.port), ("", 0), timeout=_left(until)
            )
        else:
            sock = socket.create_connection((target.address, target.port), _left(until))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport, remark = _login(host, target, sock, patience, until)
        return Connection(transport, below, remark)
    except (Refused, Unreachable):
        if below is not None:
            below.close()
        raise
    except TimeoutError:
        reason = _silent(patience)
    except paramiko.ChannelException as error:
        reason = f"the jump host cannot reach it: {error.text}"
    except Exception as error:  # paramiko hands on whatever its thread stumbled over in what arrived.
        late = time.monotonic() >= until and not isinstance(error, OSError)
        reason = _silent(patience) if late else reason_of(error)
    if below is not None:
        below.close()
    raise Unreachable(f"{host.name}: {target.address} port {target.port}: {reason}") from None


def _jump(host: Host, target: Target, patience: Patience, until: float) -> Connection:
    *before, last = target.jumps
    try:
        user, address, port = split_address(last)
    except ValueError as error:
        raise Unreachable(f"{host.name}: ProxyJump {error}") from None
    through = Host(address, port=port, user=user)
    next_target = target_of(through)
    next_target.jumps = before or next_target.jumps
    return _reach(through, next_target, patience, until)


def _login(
    host: Host, target: Target, sock: Any, patience: Patience, until: float
) -> tuple[paramiko.Transport, str]:
    """The connection, and what is to be told of files of known hosts."""
    transport = paramiko.Transport(sock, default_window_size=_WINDOW, packetizer_class=Packets)
    try:
        options = transport.get_security_options()
        ciphers = [c for c in _CIPHERS if c in options.ciphers]
        options.ciphers = (*ciphers, *(c for c in options.ciphers if c not in ciphers))
        known = host_keys.look_up(target)
        options.key_types = host_keys.wanted(options.key_types, known)
        transport.banner_timeout = transport.handshake_timeout = max(0.1, _left(until))
        transport.start_client(timeout=max(0.1, _left(until)))
        host_keys.check(host, target, transport.get_remote_server_key(), known, patience)
        _authenticate(host, target, transport)
    except BaseException:
        transport.close()
        raise
    return transport, host_keys.remark(known)


def _authenticate(host: Host, target: Target, transport: paramiko.Transport) -> None:
    transport.auth_timeout = _LOGIN
    tried, locked = 0, ""
    for key in _agent_keys(target):
        tried += 1
        try:
            if not transport.auth_publickey(target.user, key):
                return
        except paramiko.AuthenticationException:
            if not transport.is_active():
                break
    for path in target.keys if transport.is_active() else ():
        try:
            key = paramiko.PKey.from_path(path)
        except (paramiko.PasswordRequiredException, TypeError):
            locked = path
            continue
        except Exception as error:
            locked = f"{path} ({error})"
            continue
        tried += 1
        try:
            if not transport.auth_publickey(target.user, key):
                return
        except paramiko.AuthenticationException:
            if not transport.is_active():
                break
    if not transport.is_active():
        raise Unreachable(
            f"{host.name}: {target.address} closed the connection while {target.user} logged in"
        )
    hint = f"; {locked} cannot be used: add it to ssh-agent" if locked else ""
    what = f"none of {tried} keys was accepted" if tried else "there is no key to log in with"
    raise Unreachable(
        f"{host.name}: {target.address} refuses the login of {target.user}: {what}{hint} (try {_by_hand(host, target)})"
    )


def _by_hand(host: Host, target: Target) -> str:
    """The `ssh` command that does the same: by the host's name only where that alone says all."""
    if not (host.address or host.port or host.user or host.key):
        return f"ssh {host.name}"
    words = ["ssh"]
    if target.port != 22:
        words += ["-p", str(target.port)]
    if host.key:
        words += ["-i", shlex.quote(host.key)]
    return " ".join([*words, shlex.quote(f"{target.user}@{target.address}")])


def _agent_keys(target: Target) -> list[Any]:
    """Keys of the user's ssh-agent; with IdentitiesOnly just those whose public half stands in a named file."""
    try:
        keys: list[Any] = list(paramiko.Agent().get_keys())
    except (paramiko.SSHException, OSError):
        return []
    if not target.only_keys:
        return keys
    public = set()
    for path in target.keys:
        try:
            with open(path + ".pub", encoding="utf-8") as file:
                public.add(file.read().split()[1])
        except (OSError, IndexError):
            continue
    return [key for key in keys if key.get_base64() in public]


def _silent(patience: Patience) -> str:
    return f"it does not answer within {patience.connect:g} s"


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def reason_of(error: Exception) -> str:
    """Why a connection could not be made, in words."""
    if isinstance(error, socket.gaierror):
        return f"its address is not known: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, EOFError):
        return "it closed the connection before anybody was logged in"
    if "Error reading SSH protocol banner" in str(error):
        return "something else than an SSH server, or a stalled one, answers there"
    if isinstance(error, (OSError, paramiko.SSHException)):
        return str(error) or type(error).__name__
    return f"what arrives from it is damaged, or no SSH ({type(error).__name__})"

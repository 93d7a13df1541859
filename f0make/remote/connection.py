"""SSH connections by paramiko: host keys checked, jumps followed, every failure told in one line."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Any

from f0make.remote.hosts import Host, Patience
from f0make.remote.library import paramiko
from f0make.remote.packets import Packets
from f0make.remote.sshconfig import Target, split_address, target_of

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Preferred: much less work than AES-CTR with a separate MAC."""
_WINDOW = 16 << 20
"""Bytes that a host may send before they are read."""
_LOGIN = 5.0
"""Seconds, at least, for logging in once a host has answered."""


logging.getLogger("paramiko").addHandler(logging.NullHandler())  # What goes wrong is told in one line, below.


class Refused(Exception):
    """The host's key is unknown or has changed; the text says what to do."""


class Unreachable(Exception):
    """No connection; the text names the host and the reason."""


class Connection:
    """A transport, with the transports of the jumps that it goes through."""

    def __init__(self, transport: paramiko.Transport, below: Connection | None = None) -> None:
        self.transport = transport
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
        return Connection(_login(host, target, sock, patience, until), below)
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


def _login(host: Host, target: Target, sock: Any, patience: Patience, until: float) -> paramiko.Transport:
    transport = paramiko.Transport(sock, default_window_size=_WINDOW, packetizer_class=Packets)
    try:
        options = transport.get_security_options()
        ciphers = [c for c in _CIPHERS if c in options.ciphers]
        options.ciphers = (*ciphers, *(c for c in options.ciphers if c not in ciphers))
        known = _known_keys(target)
        kinds = [kind for kind in options.key_types if _kind(kind) in known]
        options.key_types = (*kinds, *(k for k in options.key_types if k not in kinds))
        transport.banner_timeout = transport.handshake_timeout = max(0.1, _left(until))
        transport.start_client(timeout=max(0.1, _left(until)))
        _check_key(host, target, transport.get_remote_server_key(), known, patience)
        _authenticate(host, target, transport)
    except BaseException:
        transport.close()
        raise
    return transport


def _kind(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _known_keys(target: Target) -> dict[str, paramiko.PKey]:
    """Kind of key -> the key that is known for the host."""
    found: dict[str, paramiko.PKey] = {}
    for path in target.known_hosts:
        keys = paramiko.HostKeys()
        try:
            keys.load(path)
        except (OSError, paramiko.SSHException):
            continue
        for kind, key in (keys.lookup(target.known_as) or {}).items():
            found.setdefault(kind, key)
    return found


def _check_key(
    host: Host, target: Target, key: paramiko.PKey, known: dict[str, paramiko.PKey], patience: Patience
) -> None:
    name, file = target.known_as, target.known_hosts[0]
    expected = known.get(key.get_name())
    if expected is not None:
        if expected == key:
            return
        raise Refused(
            f"{host.name}: the key of {name} has changed: it is now {key.fingerprint}. Somebody may be "
            f"listening; if the host was set up anew: ssh-keygen -R '{name}' -f {file}"
        )
    if known:
        raise Refused(
            f"{host.name}: {name} is known in {file} by a key of another kind, and shows {key.fingerprint}: "
            f"check that, then ssh-keygen -R '{name}' -f {file} and add the new key"
        )
    if not patience.accept_new:
        where = f"-p {target.port} " if target.port != 22 else ""
        raise Refused(
            f"{host.name}: the key of {name} is not known in {file}: it is {key.fingerprint}. Check that and add it "
            f"(ssh-keyscan {where}{target.address} >> {file}), or run with --accept-new-host-keys"
        )
    try:
        os.makedirs(os.path.dirname(file) or ".", 0o700, exist_ok=True)
        with open(file, "a", encoding="utf-8") as out:
            out.write(f"{name} {key.get_name()} {key.get_base64()}\n")
    except OSError as error:
        raise Refused(f"{host.name}: its key cannot be added to {file}: {error.strerror}") from None


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
        f"{host.name}: {target.address} refuses the login of {target.user}: {what}{hint} (try ssh {host.name})"
    )


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

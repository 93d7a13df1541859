"""Whether the key that a host shows is the one that is known for it, and what to do when it is not."""

from __future__ import annotations

import os

from f0make.backends.ssh import known_hosts
from f0make.backends.ssh.host import Host, Patience
from f0make.backends.ssh.host_certificates import SUFFIX, NotSigned, signer
from f0make.backends.ssh.known_hosts import Known
from f0make.backends.ssh.lean_paramiko import paramiko
from f0make.backends.ssh.ssh_config import Target

_SHOWN = 3
"""Lines that could not be read, of which one is told."""


class Refused(Exception):
    """The host's key is unknown, has changed or was revoked; the text says what to do."""


def look_up(target: Target) -> Known:
    """What is known of ``target``."""
    return known_hosts.known(target.known_hosts, target.known_as)


def wanted(kinds: tuple[str, ...], known: Known) -> tuple[str, ...]:
    """The algorithms ``kinds`` in the order in which they should be asked for: those of known keys first.

    Before them certificates, where an authority is known.
    """
    first = [kind for kind in kinds if _kind(kind) in known.keys]
    signed = [kind + SUFFIX for kind in kinds] if known.authorities else []
    return (*signed, *first, *(kind for kind in kinds if kind not in first))


def remark(known: Known) -> str:
    """The lines that could not be read, in one line of text; empty when there are none."""
    more = len(known.remarks) - _SHOWN
    return "; ".join(known.remarks[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def check(host: Host, target: Target, key: paramiko.PKey, known: Known, patience: Patience) -> None:
    """Return when ``key`` is one that is known, or was added because the user wants that. Raises Refused."""
    name, file, shown = target.known_as, target.known_hosts[0], key.asbytes()
    plain = Known()
    if shown not in known.keys.get(key.get_name(), ()) and not target.key_name and target.port != 22:
        # As OpenSSH does: a key that stands there without a port is that of the host on every port.
        plain = known_hosts.known(target.known_hosts, target.address)
    if shown in known.revoked | plain.revoked:
        raise Refused(
            f"{host.name}: the key of {name} was revoked (@revoked in a file of known hosts): "
            f"{key.fingerprint}. Somebody may use a stolen key"
        )
    doubt = _certified(host, target, key, known, plain)
    if doubt is None or any(shown in found.keys.get(key.get_name(), ()) for found in (known, plain)):
        return
    if key.get_name() in known.keys:
        raise Refused(
            f"{host.name}: the key of {name} has changed: it is now {key.fingerprint}. Somebody may be "
            f"listening; if the host was set up anew: ssh-keygen -R '{name}' -f {file}"
        )
    if known.keys:
        raise Refused(
            f"{host.name}: {name} is known in {file} by a key of another kind, and shows {key.fingerprint}: "
            f"check that, then ssh-keygen -R '{name}' -f {file} and add the new key"
        )
    if not patience.accept_new:
        where = f"-p {target.port} " if target.port != 22 else ""
        signed = f"; a @cert-authority stands there, but {doubt}"
        told = remark(known)
        raise Refused(
            f"{host.name}: the key of {name} is not known in {file}"
            + (signed if known.authorities else "")
            + f": it is {key.fingerprint}. Check that and add it "
            f"(ssh-keyscan {where}{target.address} >> {file}), or run with --accept-new-host-keys"
            + (f" ({told})" if told else "")
        )
    try:
        _add(file, f"{name} {key.get_name()} {key.get_base64()}\n")
    except OSError as error:
        raise Refused(f"{host.name}: its key cannot be added to {file}: {error.strerror}") from None


def _certified(host: Host, target: Target, key: paramiko.PKey, known: Known, plain: Known) -> str | None:
    """None when a known authority has signed ``key`` for the host, else why that does not count. Raises Refused."""
    name = target.key_name or target.address
    try:
        authority = signer(key, name)
    except NotSigned as error:
        return f"the certificate that it shows does not count: {error}"
    if authority is None:
        return "it shows no certificate"
    if authority in known.revoked | plain.revoked:
        raise Refused(f"{host.name}: the authority that has signed the key of {name} was revoked (@revoked)")
    if authority in known.authorities | plain.authorities:
        return None
    return "another one has signed its certificate"


def _add(file: str, line: str) -> None:
    """Append ``line``, to a last line that somebody left without an end, too. Raises OSError."""
    os.makedirs(os.path.dirname(file) or ".", 0o700, exist_ok=True)
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(fd, "rb+", buffering=0) as out:
        size = out.seek(0, os.SEEK_END)
        whole = not size or os.pread(fd, 1, size - 1) == b"\n"
        out.write((b"" if whole else b"\n") + line.encode("utf-8", "surrogateescape"))


def _kind(algorithm: str) -> str:
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm

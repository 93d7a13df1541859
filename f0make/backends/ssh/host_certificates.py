"""Certificates of hosts: a key that an authority of the user's known hosts (`@cert-authority`) has signed for a name."""

from __future__ import annotations

import base64
import time
from typing import Any

from f0make.backends.ssh.lean_paramiko import paramiko

SUFFIX = "-cert-v01@openssh.com"
"""Of the algorithm of a key -> of a certificate for such a key."""
_LENGTH = 4
_RSA_NAMES = (b"\0\0\0\x0crsa-sha2-256", b"\0\0\0\x0crsa-sha2-512")


class NotSigned(Exception):
    """The certificate does not count; the text says why."""


def signer(key: paramiko.PKey, name: str, now: float | None = None) -> bytes | None:
    """The public half of the authority that has signed ``key`` for the host ``name``; None without a certificate.

    Read as OpenSSH reads it: the signature (not with SHA-1), for a host, in its time, with the host among its principals
    (no patterns), and without conditions that are not understood. Raises NotSigned.
    """
    given = key.public_blob
    if given is None:
        return None
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        SSHCertificate,
        SSHCertificateType,
        load_ssh_public_identity,
    )

    def public(half: Any) -> bytes:
        return base64.b64decode(half.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[1])

    blob = bytes(given.key_blob)
    try:
        found = load_ssh_public_identity(given.key_type.encode("ascii") + b" " + base64.b64encode(blob))
        if not isinstance(found, SSHCertificate) or public(found.public_key()) != key.asbytes():
            raise NotSigned("it is none for this key")
        found.verify_cert_signature()
        authority = found.signature_key()
    except InvalidSignature:
        raise NotSigned("its signature is wrong") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotSigned(f"it cannot be read: {error}") from None
    if isinstance(authority, RSAPublicKey):
        size = (authority.key_size + 7) // 8 + _LENGTH
        if not blob[:-size].endswith(_RSA_NAMES):
            raise NotSigned("it is signed with SHA-1")
    if found.type is not SSHCertificateType.HOST:
        raise NotSigned("it is one for a user")
    if found.critical_options:
        raise NotSigned("it has conditions that are not known")
    if not found.valid_after <= (time.time() if now is None else now) < found.valid_before:
        raise NotSigned("it does not hold now")
    if name.lower().encode("utf-8", "surrogateescape") not in found.valid_principals:
        raise NotSigned(f"it is not for {name}")
    return public(authority)

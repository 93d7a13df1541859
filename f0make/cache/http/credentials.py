"""Who f0make is to a cache server: from the environment, else from a netrc file; kept out of every message."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from f0make.cache.credential_variables import PASSWORD, TOKEN, USER
from f0make.cache.http.server_address import Address
from f0make.errors import UsageError

_LOOPBACK = ("localhost", "127.", "::1")


def authorization(address: Address, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The value of the header `Authorization` (None: anonymous), and what a person should know.

    Raises UsageError for a variable that cannot be sent.
    """
    token = environ.get(TOKEN, "").strip()
    if token:
        if not (token.isascii() and token.isprintable()):
            raise UsageError(f"{TOKEN} holds characters that an HTTP header cannot hold")
        return f"Bearer {token}", _in_the_clear(address)
    login, trouble = None, None
    if environ.get(USER):
        login = (environ[USER], environ.get(PASSWORD, ""))
        if ":" in login[0]:
            raise UsageError(f"{USER} holds a colon, which HTTP does not allow in a user's name")
    else:
        login, trouble = _from_netrc(address, environ)
    if login is None:
        return None, trouble
    packed = base64.b64encode(":".join(login).encode("utf-8", "surrogateescape"))
    return f"Basic {packed.decode('ascii')}", _in_the_clear(address)


def _from_netrc(address: Address, environ: Mapping[str, str]) -> tuple[tuple[str, str] | None, str | None]:
    import netrc

    path = environ.get("NETRC") or os.path.join(os.path.expanduser("~"), ".netrc")
    try:
        found = netrc.netrc(path).authenticators(address.host)
    except FileNotFoundError:
        return None, None
    except (OSError, UnicodeError, netrc.NetrcParseError) as error:
        # A parser's own words may quote a password.
        line = f", line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        return None, f"{path}{line} cannot be read; asking {address} without a login"
    return (found[0] or "", found[2] or "") if found is not None else None, None


def _in_the_clear(address: Address) -> str | None:
    if address.secure or address.host.startswith(_LOOPBACK):
        return None
    return f"the login for {address} goes over the network unencrypted (an https address would protect it)"

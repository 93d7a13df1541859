"""The address of a cache server as it is given with `--cache`. Never holds, and never repeats, a password."""

from __future__ import annotations

from f0make.errors import UsageError
from f0make.fast_dataclass import dataclass

WHERE_CREDENTIALS_GO = (
    "put them into F0MAKE_CACHE_USER and F0MAKE_CACHE_PASSWORD, or F0MAKE_CACHE_TOKEN, or into ~/.netrc"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is; ``path`` begins and ends with a slash."""

    secure: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.secure else 80)
        return f"http{'s' * self.secure}://{host}{'' if usual else f':{self.port}'}{self.path}"


def is_address(text: str) -> bool:
    """Whether ``text`` is meant as an address rather than as a directory."""
    return "://" in text


def parse_address(text: str) -> Address:
    """Take ``text`` apart. Raises UsageError, whose message holds no part of ``text`` that may be secret."""
    from urllib.parse import quote, urlsplit

    scheme, _, rest = text.partition("://")
    shown = f"--cache {scheme}://{rest.split('?')[0].split('#')[0].rpartition('@')[2]}"
    if scheme.lower() not in ("http", "https"):
        raise UsageError(f"{shown}: expected a directory or an address that begins with http:// or https://")
    if "@" in rest.split("/")[0]:
        raise UsageError(
            f"{shown}: credentials do not belong into the address, where everybody can read them "
            f"({WHERE_CREDENTIALS_GO})"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from None
    if not host or not host.isprintable() or " " in host:
        raise UsageError(f"{shown}: it names no host (such as http://cache.example:8080/)")
    if parts.query or parts.fragment:
        raise UsageError(f"{shown}: an address of a cache has no '?' and no '#' part (leave it out)")
    secure = scheme.lower() == "https"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return Address(
        secure, host, port or (443 if secure else 80), "/" + "".join(f"{p}/" for p in path.split("/") if p)
    )

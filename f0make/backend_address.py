"""What `--backend` may say: an engine, and where its cluster is. Pure, and cheap to import: the no-op path reads it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.errors import UsageError

LOCAL = "local"
SCHEMES = ("tcp", "tls")
_EXAMPLES = {"dask": "dask, dask=tcp://HOST:PORT or dask=tls://HOST:PORT", "ray": "ray or ray=HOST:PORT"}


class Address:
    """A cluster: ``engine`` is ``dask`` or ``ray``; ``url`` is empty for one to be started here."""

    __slots__ = ("ca", "cert", "engine", "host", "key", "url")

    def __init__(
        self, engine: str, url: str = "", host: str = "", ca: str = "", cert: str = "", key: str = ""
    ) -> None:
        self.engine = engine
        self.url = url
        self.host = host
        self.ca = ca
        self.cert = cert
        self.key = key

    def __str__(self) -> str:
        return f"{self.engine}={self.url}" if self.url else self.engine

    @property
    def exposed(self) -> bool:
        """Whether commands and results would cross a network as plain text, from and to any process that connects."""
        return bool(self.url) and not self.url.startswith("tls://") and not _loopback(self.host)


def parse(
    text: str, ca: str | None = None, cert: str | None = None, key: str | None = None
) -> Address | None:
    """The address in ``--backend TEXT`` with the paths of `--dask-ca`, `--dask-cert` and `--dask-key`.

    None: the backend is this machine. Raises UsageError.
    """
    files = {"--dask-ca": ca, "--dask-cert": cert, "--dask-key": key}
    given = [flag for flag, path in files.items() if path]
    engine, equals, url = text.partition("=")
    if engine == "dask" and not (equals and not url):
        address = Address(engine, url, _dask_host(text, url) if url else "", ca or "", cert or "", key or "")
    elif engine == "ray" and not (equals and not url):
        address = Address(engine, url, _ray_host(text, url) if url else "")
    elif text == LOCAL:
        address = None
    else:
        expected = "local, ssh, " + ", ".join(_EXAMPLES.values())
        raise _wrong(f"--backend {text}: expected {expected}")
    if given and (address is None or not address.url.startswith("tls://")):
        raise _wrong(f"{given[0]} is for --backend dask=tls://HOST:PORT (this one is {text})")
    if given and len(given) < len(files):
        missing = next(flag for flag, path in files.items() if not path)
        raise _wrong(f"{given[0]} without {missing}: TLS needs all three of {', '.join(files)}")
    return address


def _dask_host(text: str, url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _wrong(f"--backend {text}: expected {_EXAMPLES['dask']}")
    return _host_of(text, rest, "dask")


def _ray_host(text: str, url: str) -> str:
    if url == "auto":
        return "localhost"
    return _host_of(text, url.removeprefix("ray://"), "ray")


def _host_of(text: str, place: str, engine: str) -> str:
    """The host in ``host:port`` or ``[v6]:port``. Raises UsageError."""
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        port = port[1:] if bracket and port.startswith(":") else ""
    else:
        host, _, port = place.rpartition(":")
        if ":" in host:
            raise _wrong(f"--backend {text}: write an IPv6 address in brackets, as in [::1]:8786")
    right = host and not any(c in host for c in "/@?# \t\n") and port.isascii() and port.isdecimal()
    if not right or not 0 < int(port) < 65536:
        raise _wrong(f"--backend {text}: expected {_EXAMPLES[engine]}, with a port from 1 to 65535")
    return host


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1", "ip6-localhost") or (
        host.startswith("127.") and host.replace(".", "").isdecimal()
    )


def _wrong(text: str) -> UsageError:
    from f0make.errors import UsageError

    return UsageError(text)

"""`--backend` as text: what is understood, what is refused and how, and what is warned about."""

from __future__ import annotations

import pytest

from f0make.backend_address import parse
from f0make.errors import UsageError
from f0make.store.snapshot import request_of


def test_local_is_no_engine() -> None:
    assert parse("local") is None


@pytest.mark.parametrize(
    ("text", "engine", "url", "host"),
    [
        ("dask", "dask", "", ""),
        ("dask=tcp://10.0.0.1:8786", "dask", "tcp://10.0.0.1:8786", "10.0.0.1"),
        ("dask=tls://node-1.example:443", "dask", "tls://node-1.example:443", "node-1.example"),
        ("dask=tcp://[fe80::1]:8786", "dask", "tcp://[fe80::1]:8786", "fe80::1"),
        ("ray", "ray", "", ""),
        ("ray=auto", "ray", "auto", "localhost"),
        ("ray=10.0.0.1:6379", "ray", "10.0.0.1:6379", "10.0.0.1"),
        ("ray=ray://head:10001", "ray", "ray://head:10001", "head"),
    ],
)
def test_good_addresses(text: str, engine: str, url: str, host: str) -> None:
    address = parse(text)
    assert address is not None
    assert (address.engine, address.url, address.host) == (engine, url, host)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Dask",
        "spark",
        "dask=",
        "ray=",
        "dask=8786",
        "dask=10.0.0.1:8786",
        "dask=http://h:1",
        "dask=tcp://",
        "dask=tcp://h",
        "dask=tcp://h:",
        "dask=tcp://h:port",
        "dask=tcp://h:0",
        "dask=tcp://h:65536",
        "dask=tcp://h:8786/path",
        "dask=tcp://user@h:8786",
        "dask=tcp://:8786",
        "dask=tcp://::1:8786",
        "dask=tcp://[::1]8786",
        "ray=h",
        "ray=http://h:1",
        "local=h",
    ],
)
def test_wrong_addresses_are_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--backend"):
        parse(text)


def test_certificates_belong_together_and_to_tls() -> None:
    good = parse("dask=tls://h:1", "ca", "cert", "key")
    assert good is not None and (good.ca, good.cert, good.key) == ("ca", "cert", "key")
    assert parse("dask=tls://h:1") is not None  # dask's own configuration may name them
    with pytest.raises(UsageError, match="--dask-ca without --dask-key"):
        parse("dask=tls://h:1", "ca", "cert")
    for text in ("dask=tcp://h:1", "dask", "ray", "local"):
        with pytest.raises(UsageError, match="--dask-cert is for"):
            parse(text, cert="cert")


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ("dask=tcp://10.0.0.1:8786", True),
        ("dask=tcp://node:8786", True),
        ("dask=tcp://127.example.org:8786", True),
        ("ray=10.0.0.1:6379", True),
        ("dask=tcp://127.0.0.1:8786", False),
        ("dask=tcp://localhost:8786", False),
        ("dask=tcp://[::1]:8786", False),
        ("dask=tls://10.0.0.1:8786", False),
        ("dask", False),
        ("ray=auto", False),
    ],
)
def test_plain_text_beyond_this_machine(text: str, exposed: bool) -> None:
    address = parse(text)
    assert address is not None and address.exposed is exposed


def test_an_engine_changes_nothing_when_there_is_nothing_to_do() -> None:
    plain = request_of({"recipe": "r.yaml"})
    assert plain is not None
    for backend in ("local", "dask", "ray", "dask=tcp://h:1", "ray=auto"):
        assert request_of({"recipe": "r.yaml", "backend": backend}) == plain
    tls = {"backend": "dask=tls://h:1", "dask_ca": "a", "dask_cert": "b", "dask_key": "c"}
    assert request_of({"recipe": "r.yaml", **tls}) == plain


def test_a_wrong_backend_is_refused_although_there_is_nothing_to_do() -> None:
    for backend in ("spark", "dask=nowhere", "ray="):
        assert request_of({"recipe": "r.yaml", "backend": backend}) is None
    assert request_of({"recipe": "r.yaml", "backend": "dask", "dask_ca": "a"}) is None

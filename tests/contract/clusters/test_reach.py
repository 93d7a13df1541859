"""Clusters that cannot be reached, or must not be: each ends within seconds, with a line that says why."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from f0make.backends.clusters.preflight import within
from tests.support.dask_world import Dask
from tests.support.f0 import F0, Result
from tests.support.paths import PROJECT

RECIPE = "steps:\n  - name: a\n    outputs: a.txt\n    run: echo a > ${{ outputs }}\n"


def refused(f0: F0, *args: str, code: int = 5) -> Result:
    """A run that must end with ``code`` within ten seconds, with one line and nothing done."""
    f0.recipe(RECIPE)
    began = time.monotonic()
    result = f0("run", "recipe.yaml", *args)
    assert time.monotonic() - began < 10
    assert result.code == code, result.stderr
    assert "f0make: " in result.stderr and not f0.exists("a.txt")
    return result


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which somebody listens who says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def chatty() -> Iterator[int]:
    """A port at which somebody greets as a mail server does, and goes on listening."""
    talks = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    talks.append(server.accept()[0])
                    talks[-1].sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for talk in talks:
        talk.close()


@pytest.fixture
def nobody() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class TestDask:
    """Needs Dask."""

    @pytest.fixture(autouse=True)
    def _dask(self) -> None:
        pytest.importorskip("distributed", reason="Dask is not installed here")

    def test_nobody_listens(self, f0: F0, nobody: int) -> None:
        assert f"127.0.0.1:{nobody}" in refused(f0, "--backend", f"dask=tcp://127.0.0.1:{nobody}").stderr

    def test_somebody_else_listens(self, f0: F0, silent: int) -> None:
        refused(f0, "--backend", f"dask=tcp://127.0.0.1:{silent}")

    def test_somebody_who_speaks_of_something_else(self, f0: F0, chatty: int) -> None:
        assert "no Dask scheduler" in refused(f0, "--backend", f"dask=tcp://127.0.0.1:{chatty}").stderr

    def test_a_name_that_nobody_knows(self, f0: F0) -> None:
        assert "nowhere.invalid" in refused(f0, "--backend", "dask=tcp://nowhere.invalid:8786").stderr


class Certificates:
    """Two authorities, and a certificate of each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("ours", "theirs"):
            self._make(name)

    def _make(self, name: str) -> None:
        ca, key, cert = (self.path(name, kind) for kind in ("ca", "key", "cert"))
        ca_key, request = self.directory / f"{name}-ca.key", self.directory / f"{name}.csr"
        new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
        self._call([*new, f"/CN={name} CA", "-x509", "-keyout", str(ca_key), "-out", ca])
        self._call([*new, "/CN=localhost", "-keyout", key, "-out", str(request)])
        self._call(
            [
                "openssl",
                "x509",
                "-req",
                "-in",
                str(request),
                "-CA",
                ca,
                "-CAkey",
                str(ca_key),
                "-CAcreateserial",
                "-out",
                cert,
            ]
        )

    def _call(self, words: list[str]) -> None:
        subprocess.run(words, check=True, capture_output=True)

    def path(self, name: str, kind: str) -> str:
        """The file of a ``ca``, ``cert`` or ``key``."""
        return str(self.directory / f"{name}.{kind}")

    def options(self, name: str, prefix: str) -> list[str]:
        """The options of the dask commands (``tls``) or of f0make (``dask``)."""
        names = ("ca-file", "cert", "key") if prefix == "tls" else ("ca", "cert", "key")
        words = []
        for option, kind in zip(names, ("ca", "cert", "key"), strict=True):
            words += [f"--{prefix}-{option}", self.path(name, kind)]
        return words


def test_tls(f0: F0, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed here")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    made = Certificates(tmp_path)
    cluster = Dask(tmp_path / "dask", made.options("ours", "tls"), "tls")
    try:
        cluster.worker("--no-nanny")
        backend = ["--backend", cluster.backend]
        assert cluster.backend.startswith("dask=tls://")
        refused(f0, *backend, *made.options("theirs", "dask"))
        refused(f0, "--backend", cluster.backend.replace("tls://", "tcp://"))
        gone = [*made.options("ours", "dask")[:-1], str(tmp_path / "nothing")]
        assert "--dask-key" in refused(f0, *backend, *gone, code=2).stderr
        mixed = made.options("ours", "dask")
        mixed[5] = made.path("theirs", "key")
        refused(f0, *backend, *mixed, code=2)
        assert f0.run(*backend, *made.options("ours", "dask")).states == {"a": "ran"}
    finally:
        cluster.stop()


def test_ray_that_nobody_runs(f0: F0, nobody: int) -> None:
    pytest.importorskip("ray", reason="Ray is not installed here")
    assert f"127.0.0.1:{nobody}" in refused(f0, "--backend", f"ray=127.0.0.1:{nobody}").stderr


def test_ray_that_is_something_else(f0: F0, silent: int) -> None:
    pytest.importorskip("ray", reason="Ray is not installed here")
    refused(f0, "--backend", f"ray=127.0.0.1:{silent}")


@pytest.mark.parametrize(("engine", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_without_the_engine_there_is_the_pip_line(f0: F0, tmp_path: Path, engine: str, module: str) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hides:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hides())\n"
    )
    f0.recipe(RECIPE)
    result = f0(
        "run",
        "recipe.yaml",
        "--backend",
        engine,
        env={"PYTHONPATH": f"{hidden}:{PROJECT}"},
    )
    assert result.code == 2, result.stderr
    assert f"pip install 'f0make[{engine}]'" in result.stderr


@pytest.mark.parametrize(
    "backend", ["spark", "dask=http://h:1", "dask=tcp://h", "ray=", "dask=tcp://h:1 --dask-ca x"]
)
def test_a_wrong_backend_is_wrong_usage(f0: F0, backend: str) -> None:
    assert "--backend" in refused(f0, "--backend", *backend.split(), code=2).stderr


def test_plain_text_across_a_network_is_warned_about(f0: F0, nobody: int) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed here")
    f0.recipe(RECIPE)
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        pytest.skip("this machine has no address of its own")
    result = f0("run", "recipe.yaml", "--backend", f"dask=tcp://{address}:{nobody}")
    assert result.code == 5 and "plain text" in result.stderr
    assert "plain text" not in f0("run", "recipe.yaml", "--backend", f"dask=tcp://127.0.0.1:{nobody}").stderr


def test_hosts_and_an_engine_contradict_each_other(f0: F0) -> None:
    if "--hosts" not in f0("run", "--help").stdout:
        pytest.skip("this version knows no hosts")
    assert refused(f0, "--backend", "dask", "--host", "somewhere", code=2).stderr.count("\n") == 1


def test_workers_have_no_labels(f0: F0, nobody: int) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed here")
    f0.recipe(RECIPE + "    runs_on: local\n")
    result = f0("run", "recipe.yaml", "--backend", f"dask=tcp://127.0.0.1:{nobody}")
    assert result.code == 2
    assert result.stderr.startswith("recipe.yaml:5:14: a.runs_on: with --backend dask=tcp://")


def test_what_takes_too_long_is_left_behind() -> None:
    """As a name server may, or Ray."""
    over = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.2 s"):
        within(0.2, over.wait)  # type: ignore[arg-type]
    over.set()

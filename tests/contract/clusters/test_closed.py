"""Clusters that f0make starts for itself: other users of the machine can neither join them nor give them work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.backends.clusters import library_check
from f0make.backends.clusters.local_dask import LocalDask
from f0make.errors import UsageError
from tests.support.f0 import F0

STRANGER_DASK = """\
import os, sys
import distributed
from distributed import Client
from distributed.security import Security
if not os.getuid():
    os.setuid(4242)
url, other = sys.argv[1], Security.temporary()
port = url.rpartition(":")[2]
ways = [(f"tcp://127.0.0.1:{port}", None), (url, None), (url, other)]
for address, security in ways:
    try:
        client = Client(address, security=security, timeout=2)
        print("in by", address, client.submit(os.getuid).result(timeout=2))
    except Exception as error:
        print("out", type(error).__name__)
"""

STRANGER_RAY = """\
import os, sys
for name in [n for n in os.environ if n.startswith("RAY_AUTH")]:
    del os.environ[name]
os.environ["RAY_AUTH_MODE"] = sys.argv[2]
if sys.argv[2] == "token":
    os.environ["RAY_AUTH_TOKEN"] = "0" * 64
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=50)
    print("in", ray.get(ray.remote(os.getuid).remote(), timeout=5))
except BaseException as error:
    print("out", type(error).__name__)
os._exit(0)
"""


def stranger(code: str, *args: str) -> str:
    """What somebody without credentials comes to."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    assert done.stdout, done.stderr
    return done.stdout


def test_a_scheduler_of_dask_lets_nobody_else_in(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    local = LocalDask(1, str(tmp_path / "dask"))
    try:
        url, credentials = local.start()
        assert url.startswith("tls://127.0.0.1:")
        assert (tmp_path / "dask").stat().st_mode & 0o777 == 0o700
        said = stranger(STRANGER_DASK, url).splitlines()
        assert len(said) == 3 and all(line.startswith("out") for line in said), said
        from distributed import Client
        from distributed.security import Security

        with Client(url, security=Security(require_encryption=True, **credentials), timeout=20) as client:
            assert client.submit(os.getpid).result(timeout=20) != os.getpid()
    finally:
        local.stop()


def test_a_cluster_of_ray_lets_nobody_else_in() -> None:
    code = (
        "import sys\nfrom f0make.backend_address import Address\nfrom f0make.backends.clusters.ray_cluster import RayCluster\n"
        "c = RayCluster(Address('ray'), 1)\nc.open(lambda: None)\nimport ray\n"
        "print(ray.get_runtime_context().gcs_address, flush=True)\nsys.stdin.read()\nc.close()\n"
    )
    pytest.importorskip("ray")
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdin is not None and owner.stdout is not None
        address = owner.stdout.readline().strip()
        assert stranger(STRANGER_RAY, address, "disabled").startswith("out")
    finally:
        owner.communicate("", timeout=60)


def test_a_ray_that_cannot_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.40.0")
    with pytest.raises(UsageError, match=r"Ray 2.40.0 cannot keep other users .* 2.52 can"):
        library_check.check_guarded("ray")
    library_check.check_guarded("dask")


def test_steps_see_no_credentials_of_the_cluster(f0: F0) -> None:
    pytest.importorskip("distributed")
    f0.recipe("steps:\n  - name: s\n    outputs: s\n    run: env > s\n")
    f0.run("--backend", "dask", "-j1")
    text = (f0.workspace / "s").read_text()
    assert "PRIVATE KEY" not in text and "RAY_AUTH" not in text

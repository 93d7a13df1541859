"""A real Ray for tests: one head node on this machine, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}

HEAD = """
import sys, ray
started = ray.init(
    address="local", num_cpus=2, num_gpus=0, resources={"licence": 1}, include_dashboard=False,
    object_store_memory=80_000_000, _temp_dir=sys.argv[1],
)
print(started.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


class Ray:
    """A head node with two CPUs and one `licence`."""

    def __init__(self, mode: str = "token") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="f0-ray-"))  # short: its sockets lie there
        # Ray keeps a token in the home directory.
        self.env = {**ENVIRONMENT, "RAY_AUTH_MODE": mode, "HOME": str(self.directory)}
        env = {**os.environ, **self.env}
        env.pop("PYTHONPATH", None)  # workers have nothing of f0make
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD, str(self.directory)],
            env=env,
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "Ray does not start"

    @property
    def backend(self) -> str:
        """What `--backend` takes."""
        return f"ray={self.address}"

    def stop(self) -> None:
        """End it with all its processes."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

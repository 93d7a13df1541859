"""What runs leave to look at is kept where it tells something, and bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.engine import retention
from f0make.store.log_names import attempt_log, log_name
from tests.support.contract_tools import Traced
from tests.support.f0 import F0, command


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


FLAKY = """\
steps:
  - name: flaky
    retries: 2
    outputs: o
    run: "echo said in attempt ${{ attempt }}; test ${{ attempt }} = NEEDED; touch o"
"""


def logs(traced: Traced) -> dict[str, str]:
    """Log -> its text."""
    directory = traced.workspace / ".f0make" / "logs"
    return {p.name: p.read_text() for p in sorted(directory.iterdir()) if p.suffix == ".log"}


def test_every_attempt_keeps_its_log_until_the_step_runs_again(traced: Traced) -> None:
    traced.recipe(FLAKY.replace("NEEDED", "4"))
    traced.run(code=1)
    base = log_name("recipe.yaml", "flaky")
    assert logs(traced) == {
        base: "said in attempt 3\n",
        attempt_log(base, 1): "said in attempt 1\n",
        attempt_log(base, 2): "said in attempt 2\n",
    }
    for attempt in (1, 2, 3):
        assert traced("log", "flaky", "--attempt", str(attempt)).stdout == f"said in attempt {attempt}\n"
    assert traced("log", "flaky").stdout == "said in attempt 3\n"
    assert "no log of attempt 4" in traced("log", "flaky", "--attempt", "4").stderr
    for wrong in ("0", "x", "-1", "9" * 5000):
        assert traced("log", "flaky", "--attempt", wrong).code == 2
    traced.recipe(FLAKY.replace("NEEDED", "2"))
    traced.run()
    assert logs(traced) == {base: "said in attempt 2\n", attempt_log(base, 1): "said in attempt 1\n"}
    traced.recipe(FLAKY.replace("NEEDED", "1"))
    traced.run()
    assert logs(traced) == {base: "said in attempt 1\n"}


def test_a_large_log_is_not_read_as_a_whole(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs: a\n    run: head -c 200000000 /dev/zero | tr '\\0' x; touch a\n"
    )
    traced.run()
    measure = f"import resource, subprocess, sys; subprocess.run({[*command(), 'log', 'a']!r}, check=True); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", measure],
        cwd=traced.workspace,
        env=traced.environment(),
        capture_output=True,
        check=True,
    )
    assert len(done.stdout) == 200_000_000 and int(done.stderr) < 100_000, "kB"


def test_status_says_why_a_step_failed(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: code\n    outputs: a\n    run: exit 7\n"
        "  - name: killed\n    outputs: b\n    run: sh -c 'kill -9 $$'; exit 1\n"
        "  - name: silent\n    outputs: c\n    run: 'true'\n"
    )
    traced.run("-k", code=1)
    status = traced("status").stdout
    assert "code  exit code 7" in status and "silent  it did not make its output 'c'" in status
    assert traced("status", "recipe.yaml").stdout == status


def test_failed_outputs_of_the_newest_runs_are_kept(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs: a\n    run: echo ${{ config.n }} > a; exit 1\nconfig:\n  n: 0\n"
    )
    failed = traced.workspace / ".f0make" / "failed"
    for n in range(13):
        (failed / f"20200101-0000{n:02d}-1").mkdir(parents=True)
    traced.run(code=1)
    kept = sorted(os.listdir(failed))
    assert len(kept) == retention.KEPT_RUNS and kept[0] == "20200101-000004-1"
    assert (failed / kept[-1] / "a").read_text() == "0\n"


def test_logs_of_instances_that_are_gone_are_bounded(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: a\n    run: echo said; touch a\n")
    traced.recipe("steps:\n  - name: b\n    outputs: b\n    run: echo said; touch b\n", name="other.yaml")
    traced.run(recipe="other.yaml")
    directory = traced.workspace / ".f0make" / "logs"
    for n in range(retention.KEPT_GONE + 20):
        path = directory / log_name("recipe.yaml", f"gone[n={n}]")
        path.write_text("old\n")
        os.utime(path, (1_000_000 + n, 1_000_000 + n))
    traced.run()
    left = set(logs(traced))
    assert len(left) == retention.KEPT_GONE + 2
    assert {log_name("recipe.yaml", "a"), log_name("other.yaml", "b")} <= left
    assert log_name("recipe.yaml", "gone[n=19]") not in left and log_name("recipe.yaml", "gone[n=20]") in left


def test_earlier_attempts_go_when_they_are_large_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT_BYTES", 100)
    log = tmp_path / "x.log"
    for number in range(1, 5):
        log.write_text("." * 40)
        retention.keep_attempt(str(log), number)
    assert sorted(os.listdir(tmp_path)) == ["x.3.log", "x.4.log"]
    retention.forget_attempts(str(log), 3)
    assert not os.listdir(tmp_path)

"""Restored files have the times and the rights with which they were made; protected ones stay."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from f0make.cache.blobs import Blobs
from f0make.engine.first_times import first_times
from f0make.files import signature
from f0make.files.times_and_modes import noted, private, private_blobs, sound, tamed
from f0make.workspace.workspace_files import Workspace
from tests.support.contract_tools import TRACE, Traced
from tests.support.examples import examples
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    return Traced(f0.workspace)


def facts(root: Path, *paths: str) -> dict[str, tuple[int, int]]:
    """Path -> mtime in ns and mode."""
    found = {}
    for path in paths:
        seen = os.lstat(root / path)
        found[path] = (seen.st_mtime_ns, stat.S_IMODE(seen.st_mode))
    return found


def modes(root: Path, *paths: str) -> list[int]:
    return [mode for _, mode in facts(root, *paths).values()]


RIGHTS = (
    "steps:\n  - name: a\n    inputs: in.txt\n    outputs:\n      - key\n      - tool\n      - tree/\n      - plain\n"
    f"    run: |\n      {TRACE}\n      cp in.txt key; chmod 600 key; cp in.txt tool; chmod 700 tool; cp in.txt plain\n"
    "      mkdir -p tree/shut tree/open; cp in.txt tree/shut/x; cp in.txt tree/open/y\n"
    "      chmod 640 tree/shut/x; chmod 604 tree/open/y; chmod 700 tree/shut; chmod 2750 tree\n"
)
FILES = ("key", "tool", "plain", "tree/shut/x", "tree/open/y")


@pytest.mark.parametrize("how", ["a file", "all", "by another workspace", "by a changed input"])
def test_restored_files_are_as_they_were_made(traced: Traced, how: str) -> None:
    cache = ("--cache", str(traced.workspace.parent / "cache"))
    traced.recipe(RIGHTS)
    traced.write("in.txt", "1\n")
    traced.run(*cache)
    before = facts(traced.workspace, *FILES)
    directories = modes(traced.workspace, "tree", "tree/shut", "tree/open")
    assert [mode for _, mode in before.values()] == [0o600, 0o700, 0o644, 0o640, 0o604]
    assert directories == [0o2750, 0o700, 0o755]
    traced.executed()
    if how == "by a changed input":
        traced.write("in.txt", "2\n")
        traced.run(*cache)
        traced.write("in.txt", "1\n")
        traced.executed()
    else:
        for path in ("key",) if how == "a file" else ("key", "tool", "plain", "tree"):
            traced.remove(path)
        if how == "by another workspace":
            traced.remove(".f0make")
    assert traced.run(*cache).states == {"a": "restored"} and traced.executed() == []
    assert facts(traced.workspace, *FILES) == before
    assert modes(traced.workspace, "tree", "tree/shut", "tree/open") == directories
    assert traced.run(*cache).states == {"a": "current"}


def test_what_is_not_for_others_is_not_in_the_cache_either(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs:\n      - secret\n      - both1\n      - both2\n      - d/\n    run: |\n"
        "      echo secret > secret; chmod 600 secret; echo both > both1; chmod 600 both1; echo both > both2\n"
        "      mkdir d; echo inside > d/x; chmod 640 d/x\n"
    )
    traced.run()
    found = {
        path.read_text().strip(): stat.S_IMODE(path.stat().st_mode)
        for path in (traced.workspace / ".f0make/cache/cas").rglob("*")
        if path.is_file()
    }
    # What the step gives to others under another name is theirs.
    assert found == {"secret": 0o400, "both": 0o444, "inside": 0o440}


def test_a_blob_that_was_not_for_others_is_opened_up_when_it_is(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "cache"))
    for name, mode, blob in (
        ("a", 0o600, 0o400),
        ("b", 0o640, 0o440),
        ("c", 0o644, 0o444),
        ("d", 0o600, 0o444),
    ):
        (tmp_path / name).write_text("text")
        (tmp_path / name).chmod(mode)
        import hashlib

        digest = hashlib.sha256(b"text").hexdigest()
        blobs.add(str(tmp_path / name), digest)
        assert stat.S_IMODE(os.stat(blobs.path(digest)).st_mode) == blob


def test_rights_from_a_shared_cache_let_nobody_else_write(traced: Traced) -> None:
    cache = ("--cache", str(traced.workspace.parent / "cache"))
    traced.recipe("steps:\n  - name: a\n    outputs: o\n    run: echo 1 > o; chmod 4777 o\n")
    traced.run(*cache)
    assert modes(traced.workspace, "o") == [0o4777]
    traced.remove("o"), traced.remove(".f0make")
    assert traced.run(*cache).states == {"a": "restored"}
    assert modes(traced.workspace, "o") == [0o755]


BAM = (
    "steps:\n  - name: a\n    inputs: in.txt\n    outputs:\n      - x.bam\n      - x.bai\n"
    f"    run: |\n      {TRACE}\n      cp in.txt x.bam; sleep 0.02; IDX > x.bai\n"
)


def times(traced: Traced) -> tuple[int, int]:
    return tuple(os.stat(traced.workspace / name).st_mtime_ns for name in ("x.bam", "x.bai"))  # type: ignore[return-value]


def test_remade_with_equal_content(traced: Traced) -> None:
    traced.recipe(BAM.replace("IDX", "echo 1"))
    traced.write("in.txt", "1\n")
    traced.run()
    first = times(traced)
    traced.edit("recipe.yaml", "echo 1", "echo  1")
    assert traced.run().states == {"a": "ran"}
    assert times(traced) == first
    assert traced.run().states == {"a": "current"} and traced.run("--rehash").states == {"a": "current"}
    # Only the later one has changed: the earlier keeps its time.
    traced.edit("recipe.yaml", "echo  1", "echo 2")
    traced.run()
    second = times(traced)
    assert second[0] == first[0] and second[1] > first[1]
    # Only the earlier one has changed: the later one must not be older than it.
    traced.write("in.txt", "2\n")
    traced.run()
    third = times(traced)
    assert third[0] > second[0] and third[1] > third[0]
    # What was there long ago comes back as it was then.
    traced.write("in.txt", "1\n")
    assert traced.run().states == {"a": "restored"} and times(traced) == second
    traced.executed()


def test_only_a_file_with_one_name_gets_another_time(tmp_path: Path) -> None:
    """Under its other name it may be a file of the user's."""
    for name in ("one", "two"):
        (tmp_path / name).write_text("1")
    os.link(tmp_path / "two", tmp_path / "other")
    os.symlink("one", tmp_path / "link")
    with Workspace(str(tmp_path)) as place:
        for name, done in (("one", True), ("two", False), ("link", False), ("none", False)):
            known = signature.of(os.lstat(tmp_path / name)) if name != "none" else (0,) * 5
            assert (place.set_time(name, known, 10**18) is not None) == done
    assert os.stat(tmp_path / "one").st_mtime_ns == 10**18 != os.stat(tmp_path / "other").st_mtime_ns


def test_a_forced_rerun_and_a_tree(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs: d/\n    run: mkdir d; echo 1 > d/x; sleep 0.02; echo 2 > d/y; sleep 0.02; echo 3 > d/z\n"
    )
    traced.run()
    before = facts(traced.workspace, "d/x", "d/y", "d/z")
    traced.edit("recipe.yaml", "echo 2 >", "echo 4 >")
    assert traced.run("--force", "a").states == {"a": "ran"}
    after = facts(traced.workspace, "d/x", "d/y", "d/z")
    assert after["d/x"] == before["d/x"]
    assert before["d/y"] < after["d/y"] < after["d/z"]
    traced.remove("d")
    traced.run()
    assert facts(traced.workspace, "d/x", "d/y", "d/z") == after


def test_a_touched_output_comes_back_with_its_own_time(traced: Traced) -> None:
    traced.recipe(BAM.replace("IDX", "echo 1"))
    traced.write("in.txt", "1\n")
    traced.run()
    first = times(traced)
    os.utime(traced.workspace / "x.bai")
    os.chmod(traced.workspace / "x.bam", 0o600)
    assert traced.run().states == {"a": "current"}
    assert modes(traced.workspace, "x.bam") == [0o600]  # a person's own rights are left
    traced.remove("x.bai")
    assert traced.run().states == {"a": "restored"}
    assert times(traced) == first


def test_records_without_times_are_good(traced: Traced) -> None:
    from f0make.store import log_lines

    traced.recipe(BAM.replace("IDX", "echo 1"))
    traced.write("in.txt", "1\n")
    traced.run()
    path = traced.workspace / ".f0make/records.log"
    lines = []
    for line in path.read_bytes().splitlines(keepends=True):
        found = log_lines.decode(line)
        if found is not None and found[0] == "record":
            line = log_lines.encode(
                "record", {k: v for k, v in found[1].items() if k not in ("times", "modes")}
            )
        lines.append(line)
    path.write_bytes(b"".join(lines))
    for name in ("records.idx", "snapshots"):
        if traced.exists(f".f0make/{name}"):
            traced.remove(f".f0make/{name}")
    traced.remove("x.bai")
    traced.executed()
    assert traced.run().states == {"a": "restored"} and traced.executed() == []


@examples(150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(-5, 5))), max_size=8))
def test_the_order_of_a_steps_files_stays(files: list[tuple[int, int | None]]) -> None:
    made = {str(n): now for n, (now, _) in enumerate(files)}
    before = {str(n): old for n, (_, old) in enumerate(files) if old is not None}
    found = first_times(made, before)
    assert all(found[name] == before[name] for name in found)
    times = {**made, **found}
    for one in made:
        for other in made:
            if made[one] < made[other]:
                assert times[one] <= times[other]
    past = all(before[name] <= made[name] for name in before)
    if (
        past
        and len(before) == len(made)
        and all(before[a] <= before[b] for a in made for b in made if made[a] <= made[b] and a != b)
    ):
        assert all(times[name] == before[name] for name in made)


def test_what_a_record_keeps_of_rights() -> None:
    assert [noted(mode, 0o022) for mode in (0o644, 0o755, 0o600, 0o4755, 0o664)] == [
        None,
        None,
        0o600,
        None,
        0o664,
    ]
    assert (noted(0o40755, 0o022, True), noted(0o42775, 0o022, True), noted(0o600, 0o077)) == (
        None,
        0o2775,
        0o600,
    )
    assert [private(mode, 0o022) for mode in (0o600, 0o640, 0o644)] == [True, True, False]
    assert not private(0o600, 0o077)
    assert tamed({"modes": {"a": 0o666, "d": {"x": 0o777}}}, 0o022) == {
        "modes": {"a": 0o644, "d": {"x": 0o755}}
    }
    digests = {name: name * 64 for name in "abc"}
    assert private_blobs(
        {"1": digests["a"], "2": digests["a"], "d": "d" * 64 + "/"},
        {"d": {"x": digests["b"], "y": digests["c"], "e": "/"}},
        {"1": 0o600, "d": {"x": 0o640}},
    ) == {digests["b"]: 0o640}


@pytest.mark.parametrize(
    "change",
    [
        {"times": {"b": 1}},
        {"times": {"a": True}},
        {"times": {"a": "1"}},
        {"times": {"a": 10**400}},
        {"times": {"a": {"x": 1}}},
        {"times": []},
        {"modes": {"a": -1}},
        {"modes": {"d": 0o644}},
        {"modes": {"d": {"x": 0o100644}}},
        {"modes": {"d": {"x": None}}},
        {"modes": {"a": 0o777}},
        {"modes": {"d": {"run": 0o644}}},
    ],
)
def test_times_and_rights_that_are_none(change: dict[str, object]) -> None:
    record = {"outputs": {"a": "0" * 64, "d": "1" * 64 + "/"}, "trees": {"d": {"run": "2" * 64 + "x"}}}
    assert sound(
        {**record, "times": {"a": 1, "d": {"x": 2}}, "modes": {"a": 0o600, "d": {"run": 0o700, "": 0o700}}}
    )
    assert not sound({**record, **change})


PROTECTED = (
    "steps:\n  - name: first\n    inputs: a\n    outputs: one\n    run: |\n      TRACE\n      cp a one\n"
    "  - name: kept\n    inputs: b\n    outputs:\n      - path: two\n        protected: yes\n"
    "    run: |\n      TRACE\n      cp b two\n"
).replace("TRACE", TRACE)


@pytest.fixture
def protected(traced: Traced) -> Traced:
    traced.recipe(PROTECTED)
    traced.write("a", "1\n")
    traced.write("b", "1\n")
    traced.run()
    traced.executed()
    return traced


def test_clean_keeps_what_is_protected(protected: Traced) -> None:
    result = protected("clean", "recipe.yaml")
    assert result.code == 0 and "two is protected" in result.stderr and "--force" in result.stderr
    assert protected.exists("two") and not protected.exists("one")
    assert protected.run().states == {"first": "restored", "kept": "current"}
    # Nor when its step is gone.
    protected.recipe(PROTECTED[: PROTECTED.index("  - name: kept")])
    protected("clean", "recipe.yaml", "--orphans")
    assert protected.exists("two")
    assert "removed two" in protected("clean", "recipe.yaml", "--orphans", "--force").stdout
    assert not protected.exists("two")


def test_a_step_may_make_read_only_files(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: o\n    run: echo 1 > o; chmod 444 o\n")
    traced.run()
    traced.recipe("steps:\n  - name: b\n    outputs: p\n    run: echo 1 > p\n")
    assert "removed o" in traced("clean", "recipe.yaml", "--orphans").stdout


def test_plan_foresees_that_a_run_will_stop(protected: Traced) -> None:
    protected.write("a", "2\n")
    protected.write("b", "2\n")
    plan = protected("plan", "recipe.yaml")
    assert "output two is protected" in plan.stdout and "--force kept" in plan.stdout
    assert "refuses to replace two" in plan.stderr
    events = {e["step"]: e for e in protected("plan", "recipe.yaml", "--json").events if e["event"] == "step"}
    assert events["kept"]["protected"] == "two" and "protected" not in events["first"]
    # Before anything runs, unless it is to keep going.
    result = protected.run(code=1)
    assert result.states == {"kept": "failed", "first": "cancelled"} and protected.executed() == []
    assert protected.run("-k", code=1).states == {"kept": "failed", "first": "ran"}
    assert protected.read("two") == "1\n"
    assert protected.run("--force", "kept").states["kept"] == "ran" and protected.read("two") == "2\n"
    assert "protected" not in protected("plan", "recipe.yaml", "--force", "kept").stdout


def test_what_only_may_have_to_be_replaced(protected: Traced) -> None:
    protected.edit("recipe.yaml", "inputs: b", "inputs:\n      - b\n      - one")
    protected.run("--force", "kept")
    protected.edit("recipe.yaml", "cp a one", "head -1 a > one")
    assert "if it must be replaced" in protected("plan", "recipe.yaml").stdout
    assert protected.run().states == {"first": "ran", "kept": "current"}


def test_a_backend_that_cannot_be_reached_leaves_no_directories(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: deep/er/o\n    run: echo 1 > deep/er/o\n")
    result = traced(
        "run",
        "recipe.yaml",
        "--host",
        "nobody@127.0.0.1:1",
        "-j",
        "0",
        "--connect-timeout",
        "1s",
        "--reconnect",
        "0s",
    )
    assert result.code == 5, result.stderr
    assert not traced.exists("deep")


def ordinary(act: Callable[[], None]) -> int:
    """The exit status of ``act`` in a process of another user."""
    pid = os.fork()
    if not pid:
        try:
            os.setgid(65534)
            os.setuid(65534)
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_anothers_private_blob_is_a_miss(tmp_path: Path) -> None:
    for directory in (tmp_path, *(p for p in tmp_path.parents if "pytest" in str(p))):
        directory.chmod(0o755)
    place = tmp_path / "cache"
    blobs = Blobs(str(place))
    digest = blobs.add_bytes(b"secret")
    os.chmod(blobs.path(digest), 0o400)
    for directory in (place, place / "cas", place / "cas" / digest[:2], place / "tmp"):
        directory.chmod(0o777)

    def act() -> None:
        mine = Blobs(str(place))
        assert not mine.has(digest)
        assert mine.add_bytes(b"secret") == digest
        assert mine.has(digest) and mine.read(digest) == b"secret"

    assert ordinary(act) == 0

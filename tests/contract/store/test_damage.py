"""Torn and corrupt state: it costs what was torn, and never makes a run fail or lie."""

from __future__ import annotations

import shutil

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


SEVERAL = f"""\
steps:
  - name: part
    foreach:
      n:
        range: 1..4
    inputs: in.txt
    outputs: parts/${{{{ n }}}}
    run: |
      {TRACE}
      cat in.txt > ${{{{ outputs }}}}; echo ${{{{ n }}}} >> ${{{{ outputs }}}}
  - name: code
    module: work
    function: main
    outputs: code.txt
  - name: all
    inputs:
      - ${{{{ steps.part.outputs }}}}
      - code.txt
    outputs:
      - all.txt
      - tree/
    depfile: all.d
    run: |
      {TRACE}
      cat ${{{{ inputs }}}} > all.txt; mkdir -p tree; cp all.txt tree/x; echo "all.txt: found.txt" > all.d
"""


def prepare(place: Traced) -> None:
    place.recipe(SEVERAL)
    place.write("in.txt", "input\n")
    place.write("found.txt", "found\n")
    place.write(
        "work.py", "def main(ctx):\n    ctx.set('k', 'v')\n    open('code.txt', 'w').write('code\\n')\n"
    )


RIGHT = "".join(f"input\n{n}\n" for n in range(1, 5)) + "code\n"

DAMAGE = {
    "removed": None,
    "emptied": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "torn at the last byte": lambda data: data[:-1],
    "one byte flipped": lambda data: (
        data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 0x41]) + data[len(data) // 3 + 1 :]
    ),
    "zeros at the end": lambda data: data[: len(data) * 2 // 3] + bytes(len(data) - len(data) * 2 // 3),
    "garbage": lambda data: b"\x00\xff garbage \n\n" * 20,
    "foreign line": lambda data: data + b'{"this": "is no line of ours"}\n\xff\xfe',
}


def state_files(place: Traced) -> list[str]:
    """Every file of the state but blobs and logs."""
    root = place.workspace / ".f0make"
    files = [p for p in root.rglob("*") if p.is_file()]
    return sorted(
        str(p.relative_to(root)) for p in files if p.relative_to(root).parts[0] not in ("cache", "logs")
    )


def damage(place: Traced, name: str, how: str) -> None:
    path = place.workspace / ".f0make" / name
    change = DAMAGE[how]
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))


def check_damaged(traced: Traced, files: list[str], how: str) -> None:
    """A copy of a workspace, some of its state damaged: runs go on to be right, and to find out what is current."""
    place = Traced(
        traced.workspace.parent / f"copy {how} {len(files)} {files[0].replace('/', ' ')}" / "workspace"
    )
    shutil.copytree(traced.workspace, place.workspace, symlinks=True)
    for name in files:
        damage(place, name, how)
    # Something changes as well, so that what was lost cannot hide behind "nothing to do".
    place.write("in.txt", "changed\n")
    result = place.run()
    assert place.read("all.txt") == RIGHT.replace("input", "changed"), (files, how)
    assert place.read("tree/x") == place.read("all.txt")
    if "records.log" in files and how in ("one byte flipped", "garbage", "zeros at the end"):
        assert "records.log" in result.stderr, (how, result.stderr)
    states = place.run().states
    assert set(states.values()) == {"current"}, (files, how, states)
    assert place.read("found.txt") == "found\n"


@pytest.mark.parametrize("how", DAMAGE, ids=lambda h: h.replace(" ", "-"))
def test_a_damaged_log_never_makes_a_run_fail_or_lie(traced: Traced, how: str) -> None:
    prepare(traced)
    traced.run()
    check_damaged(traced, ["records.log"], how)
    check_damaged(traced, state_files(traced), how)


@pytest.mark.parametrize("how", ["garbage", "one byte flipped"])
def test_other_damaged_files_never_make_a_run_fail_or_lie(traced: Traced, how: str) -> None:
    prepare(traced)
    traced.run()
    others = [name for name in state_files(traced) if name not in ("records.log", "lock", ".gitignore")]
    assert {"runs.log", "signatures"} <= set(others)
    for name in others:
        check_damaged(traced, [name], how)


def test_a_damaged_line_costs_no_more_than_itself(traced: Traced) -> None:
    prepare(traced)
    traced.run()
    traced.executed()
    path = traced.workspace / ".f0make/records.log"
    lines = path.read_bytes().split(b"\n")
    number = next(n for n, line in enumerate(lines) if b" record " in line and b"part[n=2]" in line)
    lines[number] = lines[number][:20] + b"\xff" + lines[number][21:]
    path.write_bytes(b"\n".join(lines))
    shutil.rmtree(traced.workspace / ".f0make/snapshots", ignore_errors=True)
    (traced.workspace / ".f0make/records.idx").unlink(missing_ok=True)
    states = traced.run().states
    assert states.pop("part[n=2]") == "ran" and set(states.values()) == {"current"}
    assert traced.executed() == ["part[n=2]"]


def test_every_prefix_of_the_log_is_a_good_log(traced: Traced) -> None:
    """As after a power cut: whatever reached the disk, the next run is right and loses no file."""
    prepare(traced)
    traced.run()
    log = traced.workspace / ".f0make/records.log"
    data = log.read_bytes()
    for number in (1, 3, 5):
        place = Traced(traced.workspace.parent / f"prefix{number}" / "workspace")
        shutil.copytree(traced.workspace, place.workspace, symlinks=True)
        (place.workspace / ".f0make/records.log").write_bytes(data[: len(data) * number // 6])
        for name in ("records.idx", "snapshots"):
            target = place.workspace / ".f0make" / name
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
        place.run()
        assert place.read("all.txt") == RIGHT
        assert set(place.run().states.values()) == {"current"}


def test_a_newer_format_is_refused_and_kept(traced: Traced) -> None:
    prepare(traced)
    traced.run()
    log = traced.workspace / ".f0make/records.log"
    from zlib import crc32

    body = b'header {"format": 99}'
    lines = log.read_bytes().split(b"\n", 1)
    newer = b"%08x " % crc32(body) + body + b"\n" + lines[1]
    log.write_bytes(newer)
    shutil.rmtree(traced.workspace / ".f0make/snapshots", ignore_errors=True)
    (traced.workspace / ".f0make/records.idx").unlink(missing_ok=True)
    result = traced("run", "recipe.yaml")
    assert result.code == 1 and ".f0make" in result.stderr
    assert log.read_bytes() == newer


def test_a_limit_of_address_space(traced: Traced) -> None:
    """What is read is as large as its file, not as what it may be at most."""
    traced.recipe("steps:\n  - name: a\n    outputs: a.txt\n    run: echo a > a.txt\n")
    traced.prefix = ["sh", "-c", 'ulimit -v 2000000; exec "$@"', "-"]
    traced.run()
    traced.edit("recipe.yaml", "echo a", "echo b")
    assert traced.run().states == {"a": "ran"}

"""Two runs at one time, a cache for several workspaces, and verbs that only look."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from f0make.store import log_lines
from tests.support.cache_server import CacheServer
from tests.support.contract_tools import TRACE, Traced, listing, wait_for
from tests.support.f0 import F0


@pytest.fixture
def cache_server() -> Iterator[CacheServer]:
    """A server that others share."""
    found = CacheServer()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


COPY = f"""\
steps:
  - name: copy
    inputs: in.txt
    outputs: out.txt
    run: |
      {TRACE}
      cat in.txt > out.txt
"""


# Two runs in one workspace.

HOLD = "steps:\n  - name: hold\n    outputs: held\n    run: touch started; while [ ! -e go ]; do sleep 0.02; done; touch held\n"


def test_a_second_run_exits_with_4_or_waits(traced: Traced) -> None:
    traced.recipe(HOLD)
    first = traced.start("run", "recipe.yaml")
    try:
        wait_for(lambda: traced.exists("started"))
        # It does not wait: the first one ends when this test says so.
        second = traced("run", "recipe.yaml")
        assert second.code == 4 and str(first.pid) in second.stderr
        # Looking is allowed.
        for args in (
            ("plan", "recipe.yaml"),
            ("status",),
            ("list", "recipe.yaml"),
            ("run", "recipe.yaml", "-n"),
        ):
            assert traced(*args).code == 0, args
        third = traced.start("run", "recipe.yaml", "--wait", "--json")
        time.sleep(0.3)
        assert third.poll() is None
        traced.write("go", "")
        stdout, stderr = third.communicate(timeout=20)
        assert third.returncode == 0 and '"current"' in stdout, (stdout, stderr)
        assert first.wait(20) == 0
    finally:
        traced.write("go", "")
        first.communicate(timeout=20)
    assert traced.exists("held")


def test_two_workspaces_share_a_cache_at_the_same_time(f0: F0) -> None:
    recipe = (
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..12\n    outputs: out/${{ n }}\n"
        "    run: head -c 20000 /dev/zero > ${{ outputs }}; echo ${{ n | int // 2 }} >> ${{ outputs }}\n"
    )
    places = [Traced(f0.workspace / name) for name in ("one", "two")]
    for place in places:
        place.recipe(recipe)
    for _ in range(2):
        runs = [place.start("run", "recipe.yaml", "--cache", "../cache", "-j2", "--json") for place in places]
        for run in runs:
            stdout, stderr = run.communicate(timeout=30)
            assert run.returncode == 0, (stdout, stderr)
        contents = [{p: (q.workspace / "out" / str(p)).read_bytes() for p in range(1, 13)} for q in places]
        assert contents[0] == contents[1]
        for place in places:
            place.remove("out")
    assert places[0]("cache", "verify", "--cache", "../cache").code == 0


# Looking changes nothing.

LOOKING = [
    ("plan", "recipe.yaml"),
    ("plan", "recipe.yaml", "--json", "-v"),
    ("why", "recipe.yaml", "copy"),
    ("status",),
    ("graph", "recipe.yaml", "--dot"),
    ("graph", "recipe.yaml", "--json"),
    ("run", "recipe.yaml", "-n"),
    ("run", "recipe.yaml", "--dry-run", "--json", "--force", "copy"),
    ("list", "recipe.yaml"),
    ("log", "copy"),
    ("history",),
    ("context",),
]


def test_what_another_workspace_made_replaces_f0makes_own_and_displaces_nothing(f0: F0) -> None:
    places = []
    for name in ("one", "two"):
        place = Traced(f0.workspace / name)
        place.workspace.mkdir()
        place.recipe(COPY)
        place.write("in.txt", "first\n")
        place.run("--cache", "../cache")
        places.append(place)
    for place, status in zip(places, ("ran", "restored"), strict=True):
        place.write("in.txt", "second\n")
        found = place.run("--cache", "../cache")
        assert found.states == {"copy": status} and place.read("out.txt") == "second\n"
        assert not place.displaced() and "displaced" not in found.stderr
    places[1].write("in.txt", "first\n")
    assert places[1].run("--cache", "../cache").states == {"copy": "restored"}
    places[1].write("out.txt", "by hand\n")
    assert places[1].run("--cache", "../cache").states == {"copy": "restored"}
    assert places[1].displaced() == {"out.txt": "by hand\n"}


@pytest.mark.parametrize("state", ["new", "current", "work", "killed"])
def test_looking_changes_nothing_on_disk(traced: Traced, state: str) -> None:
    traced.recipe(COPY + "    fingerprint:\n      - touch executed; echo 1\n")
    traced.write("in.txt", "1\n")
    if state != "new":
        traced.run()
        traced.remove("executed")
        traced.executed()
    if state == "work":
        traced.write("in.txt", "2\n")
        traced.write("out.txt", "altered\n")
    if state == "killed":
        traced.write("in.txt", "2\n")
        traced.edit("recipe.yaml", "cat in.txt > out.txt", "cat in.txt > out.txt; touch half; sleep 30")
        run = traced.start("run", "recipe.yaml")
        wait_for(lambda: traced.exists("half"))
        run.kill()
        run.communicate()
        (traced.workspace / "executed").unlink()
        time.sleep(0.5)  # Its workers notice that it is gone and end.
        traced.executed()
    before = listing(traced.workspace)
    for args in LOOKING:
        result = traced(*args)
        assert result.code in ((0,) if state != "new" or args[0] in ("plan", "run") else (0, 1, 2))
        after = listing(traced.workspace)
        assert after == before, (args, {k for k in {*before, *after} if before.get(k) != after.get(k)})
    assert traced.executed() == [] and not traced.exists("executed")
    if state == "new":
        assert not traced.exists(".f0make")


# What a record of a shared cache says in clear.

TELLING = """\
config:
  token: none
env:
  PASS: from-the-environment-9
steps:
  - name: shell
    inputs: in.txt
    outputs: a.txt
    fingerprint:
      - echo print-of-a-tool-7
    run: 'test -n "$PASS"; echo ${{ config.token }} | wc -c > a.txt'
  - name: python
    module: mod
    function: main
    args:
      word: ${{ config.token }}
    outputs: b.txt
"""
IN_CLEAR = (b"from-the-environment-9", b"set-value-5", b"print-of-a-tool-7", b"test -n", b"in.txt")


@pytest.mark.parametrize("kind", ["directory", "server"])
def test_a_shared_record_does_not_say_what_its_key_was_made_of(
    f0: F0, kind: str, cache_server: CacheServer
) -> None:
    cache = ("--cache", "../cache" if kind == "directory" else cache_server.url)
    places = []
    for name in ("one", "two"):
        place = Traced(f0.workspace / name)
        place.workspace.mkdir()
        place.recipe(TELLING)
        place.write("in.txt", "first\n")
        place.write("mod.py", "def main(word):\n    open('b.txt', 'w').write(str(len(word)))\n")
        places.append(place)
    one, two = places
    assert set(one.run(*cache, "--set", "token=set-value-5").states.values()) == {"ran"}
    told = b"".join(p.read_bytes() for p in (f0.workspace / "cache").rglob("*") if p.is_file())
    told += b"".join([*cache_server.blobs.values(), *cache_server.actions.values()])
    assert b"a.txt" in told and not [text for text in IN_CLEAR if text in told]
    # Who finds it knows all that by itself, and can say later what differs.
    assert set(two.run(*cache, "--set", "token=set-value-5").states.values()) == {"restored"}
    assert set(two.run(*cache, "--set", "token=set-value-5", "--rehash").states.values()) == {"current"}
    two.edit("recipe.yaml", "from-the-environment-9", "another")
    two.write("in.txt", "second\n")
    for target, parts in (("shell", ("env.PASS", "input in.txt", "command")), ("python", ("args.word",))):
        why = two("why", "recipe.yaml", target, "--set", "token=other", *cache).stdout
        assert all(part in why for part in parts) and "set-value-5" in why, why
    assert "from-the-environment-9" in two("why", "recipe.yaml", "shell", *cache).stdout


def test_what_an_older_record_says_of_its_key_is_not_believed(f0: F0) -> None:
    """A record with parts, as others wrote and may forge them: what `why` shows is what was there here."""
    one, two = Traced(f0.workspace / "one"), Traced(f0.workspace / "two")
    for place in (one, two):
        place.workspace.mkdir()
        place.recipe(COPY)
        place.write("in.txt", "first\n")
    one.run("--cache", "../cache")
    (path,) = [p for p in (f0.workspace / "cache/ac").rglob("*") if p.is_file()]
    decoded = log_lines.decode(path.read_bytes())
    assert decoded is not None
    forged = {**decoded[1], "parts": {"command": "rm -rf forged"}, "inputs": {"forged": "0" * 64}}
    path.write_bytes(log_lines.encode("record", forged))
    assert two.run("--cache", "../cache").states == {"copy": "restored"}
    two.edit("recipe.yaml", "cat in.txt", "cat  in.txt")
    why = two("why", "recipe.yaml", "copy").stdout
    assert "cat in.txt" in why and "forged" not in why

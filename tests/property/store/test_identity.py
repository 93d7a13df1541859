"""What an instance is known by: recipes of one workspace that have steps of the same name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.engine.path_handover import wording
from f0make.store import log_lines
from f0make.store.instance_identity import join, recipe_of, split
from f0make.store.record_store import Store
from f0make.store.rewrite_log import rewrite
from tests.support.digests import sha
from tests.support.examples import examples


def record(key: str, instance: str, path: str, **more: Any) -> dict[str, Any]:
    return {"key": sha(key), "instance": instance, "step": "build", "outputs": {path: sha("t" + key)}, **more}


@pytest.mark.parametrize(
    ("given", "known_as"),
    [
        ("a.yaml", "a.yaml"),
        ("./a.yaml", "a.yaml"),
        ("sub/../a.yaml", "a.yaml"),
        ("sub//a.yaml", "sub/a.yaml"),
        ("{here}/a.yaml", "a.yaml"),
        ("{here}/sub/a.yaml", "sub/a.yaml"),
        ("{link}/a.yaml", "a.yaml"),
        ("named.yaml", "named.yaml"),
        ("../a.yaml", "{above}/a.yaml"),
        ("../here2/a.yaml", "{above}/here2/a.yaml"),
    ],
)
def test_a_recipe_has_one_name_however_it_is_written(tmp_path: Path, given: str, known_as: str) -> None:
    here, link = tmp_path / "here", tmp_path / "link"
    (here / "sub").mkdir(parents=True)
    (here / "named.yaml").symlink_to("a.yaml")
    link.symlink_to("here")
    places = {"here": str(here), "link": str(link), "above": str(tmp_path)}
    for workspace in (str(here), str(link)):
        assert recipe_of(given.format(**places), workspace) == known_as.format(**places)


def test_a_workspace_that_is_the_root() -> None:
    assert recipe_of("/etc/a.yaml", "/") == "etc/a.yaml"


names = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1)


@given(names, names)
def test_joined_and_split(recipe: str, instance: str) -> None:
    assert split(join(recipe, instance)) == (recipe, instance)


def test_two_recipes_do_not_see_each_other(tmp_path: Path) -> None:
    with Store(str(tmp_path), recipe="a.yaml") as a:
        a.append_begin({"instance": "build", "token": "1"})
        a.append_record(record("k1", "build", "x", seconds=5.0))
        a.append_begin({"instance": "test", "token": "2"})
        a.append_fail({"instance": "test", "token": "2"})
        a.append_begin({"instance": "late", "token": "3"})
    for reopened in (False, True):
        with Store(str(tmp_path), readonly=reopened, recipe="b.yaml") as b:
            assert b.latest("build") is None and b.last_fail("test") is None
            assert b.seconds("build") is None and b.step_stats("build") == []
            assert b.maker("x") == ("a.yaml", "build") and b.made == {"x": sha("tk1")}
            assert not b.knows({"x": sha("tk1")}, "build")
            assert [r["recipe"] for r in b.find(sha("k1"))] == ["a.yaml"]
            assert [begun["recipe"] for begun in b.open_begins()] == ["a.yaml"]
            assert b.instances() == [("a.yaml", "build")]
            (found,) = b.find(sha("k1"))
            assert b.latest("build", "a.yaml") == found


@pytest.mark.parametrize("way", ["log", "index", "rewritten"])
def test_whose_it_is_survives(tmp_path: Path, way: str) -> None:
    with Store(str(tmp_path), recipe="a.yaml") as a:
        a.append_record(record("k1", "build", "x"))
        a.append_record(record("k2", "build", "y"))
        a.append_fail({"instance": "test", "token": "2"})
    with Store(str(tmp_path), recipe="b.yaml") as b:
        b.append_made({"x": sha("tk1")}, "build", sha("k1"))
        b.append_record({**record("k3", "test", "z"), "recipe": "elsewhere.yaml"})
        b.append_begin({"instance": "test", "token": "3"})
        b.flush()
        if way == "rewritten":
            rewrite(b._journal)
    if way == "log":
        (tmp_path / ".f0make" / "records.idx").unlink(missing_ok=True)
    with Store(str(tmp_path), readonly=True, recipe="b.yaml") as b:
        latest = b.latest("build")
        assert latest is not None and latest["key"] == sha("k1")
        assert b.maker("x") == ("b.yaml", "build")
        assert b.maker("y") == ("a.yaml", "build")
        assert b.maker("z") == ("b.yaml", "test"), "a result that came from elsewhere is this recipe's here"
        assert b.last_fail("test") is None and b.last_fail("test", "a.yaml") is not None
        assert [(begun["recipe"], begun["token"]) for begun in b.open_begins()] == [("b.yaml", "3")]
    with Store(str(tmp_path), readonly=True, recipe="a.yaml") as a:
        latest = a.latest("build")
        assert latest is not None and latest["key"] == sha("k2")


def test_forgetting_takes_the_result_from_whom_it_was(tmp_path: Path) -> None:
    with Store(str(tmp_path), recipe="a.yaml") as a:
        a.append_record(record("k1", "build", "x"))
    with Store(str(tmp_path), recipe="b.yaml") as b:
        b.append_record(record("k2", "build", "x"))
        b.forget(sha("k1"))
        assert b.latest("build") is not None and b.latest("build", "a.yaml") is None


def test_a_log_without_recipes_is_taken_over(tmp_path: Path) -> None:
    """Format 1 named no recipe: what it says of keys and files still counts, whose it was is not known."""
    place = tmp_path / ".f0make"
    place.mkdir()
    lines = [
        log_lines.encode("header", {"format": 1, "id": "00"}),
        log_lines.encode("record", record("k1", "build", "x")),
        log_lines.encode("record", record("k2", "test", "y")),
        log_lines.encode("forget", {"key": sha("k2"), "instances": ["test"]}),
        log_lines.encode("begin", {"instance": "late", "token": "3", "outputs": []}),
    ]
    (place / "records.log").write_bytes(b"".join(lines))
    for _ in range(2):
        with Store(str(tmp_path), recipe="a.yaml") as a:
            assert not a.damage
            assert a.made == {"x": sha("tk1"), "y": sha("tk2")} and a.maker("x") == ("", "build")
            assert len(a.find(sha("k1"))) == 1 and a.find(sha("k2")) == []
            assert a.latest("build") is None and len(a.open_begins()) == 1
        header = log_lines.decode((place / "records.log").read_bytes().splitlines()[0])
        assert header is not None and header[1]["format"] == log_lines.FORMAT
    assert os.listdir(place).count("records.log") == 1


def test_the_words_for_a_change_of_hands() -> None:
    assert wording(["x"], "a.yaml", "b.yaml", True) == "x, made by a.yaml before, now belongs to b.yaml"
    assert wording(["x", "y"], "a.yaml", "b.yaml", False) == (
        "x (and 1 more), made by a.yaml (gone) before, now belong to b.yaml"
    )


acts = st.tuples(
    st.sampled_from(["record", "made", "gone"]), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])
)


@examples(30)
@given(st.lists(acts, max_size=8), st.booleans())
def test_a_path_belongs_to_the_recipe_that_last_made_it(
    actions: list[tuple[str, str, str]], again: bool
) -> None:
    owners: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for number, (action, recipe, path) in enumerate(actions):
            with Store(directory, recipe=recipe) as store:
                if action == "record":
                    store.append_record(record(f"k{number}", "build", path))
                elif action == "made":
                    store.append_made({path: f"{number:064x}"}, "build")
                else:
                    store.append_gone([path])
                if again:
                    store.flush()
                    rewrite(store._journal)
            if action == "gone":
                owners.pop(path, None)
            else:
                owners[path] = (recipe, "build")
        with Store(directory, readonly=True) as store:
            assert {path: store.maker(path) for path in "xy"} == {path: owners.get(path) for path in "xy"}

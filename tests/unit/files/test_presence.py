"""What is there, asked often: the answers of `os.path.lexists`."""

from __future__ import annotations

import os
from pathlib import Path

from f0make.files import existence_cache
from f0make.files.existence_cache import Presence


def test_it_answers_as_lexists_does(tmp_path: Path) -> None:
    names = [f"in/{n}\udcff.txt" for n in range(3 * existence_cache._WORTH_A_LISTING)]
    (tmp_path / "in").mkdir()
    for name in names[::2]:
        Path(tmp_path, name).touch()
    os.symlink("nowhere", tmp_path / "in/broken")
    os.symlink("in", tmp_path / "linked")
    linked = [name.replace("in/", "linked/", 1) for name in names]
    odd = ["in", "in/broken", "in/../in", ".", "none/x", "in/0\udcff.txt/x", "in/a\0b"]
    asked = [*names, *linked, *odd, *(str(tmp_path / name) for name in names), "/", "/etc", *names]
    seen = Presence(str(tmp_path))
    for path in asked:
        there = "\0" not in path and os.path.lexists(tmp_path / path)
        assert seen.there(path) == there, path


def test_a_busy_directory_is_listed_once(tmp_path: Path) -> None:
    seen = Presence(str(tmp_path))
    (tmp_path / "one").touch()
    for _ in range(existence_cache._WORTH_A_LISTING):
        assert seen.there("one")
    (tmp_path / "one").unlink()
    assert seen.there("one"), "answered from the list"
    (tmp_path / "two").touch()
    assert seen.there("two"), "what is not in the list is looked for"

"""The lock files: every package has a hash, nothing names the index that this machine happens to use."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import PROJECT

LOCKS = ("shiv.lock", "dev.lock", "onefile/tools.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_whole_and_names_no_place(name: str) -> None:
    text = (PROJECT / name).read_text()
    packages = re.findall(r"^([a-zA-Z0-9_.-]+)==\S+.*?(?=^\S|\Z)", text, re.M | re.S)
    blocks = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.M)[1:]
    assert len(packages) == len(blocks) > 3
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"://|--index|--find-links|--extra-index", text)


def test_what_development_needs_is_locked() -> None:
    project = (PROJECT / "pyproject.toml").read_text().partition("\n[tool.")[0]
    needed = set(re.findall(r'^    "([A-Za-z0-9_-]+)[>=\[;"]', project, re.M)) - {"f0make"}
    locked = set(re.findall(r"^([a-z0-9_.-]+)==", (PROJECT / "dev.lock").read_text(), re.M))
    assert {name.lower().replace("_", "-") for name in needed} <= locked
    assert "--require-hashes -r dev.lock" in (PROJECT / "Makefile").read_text()

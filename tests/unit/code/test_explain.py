"""Naming the changed code between two versions of a module."""

from __future__ import annotations

import pytest

from f0make.code.explain_change import CodeChange, code_changes


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("x = 1", "# new comment\n\nx = (1)", []),
        ("x = 1\ny = 2", "x = 1  # said\ny = 3", [CodeChange(2, "y = 2", 2, "y = 3")]),
        ("x = 1", "x = 1\ny = 2", [CodeChange(0, "", 2, "y = 2")]),
        ("x = 1\ny = 2", "y = 2", [CodeChange(1, "x = 1", 0, "")]),
        (
            "def f(a):\n    if a:\n        return 1\n    return 2",
            "def f(a):\n\n    if a:\n        return 10\n    return 2",
            [CodeChange(3, "return 1", 4, "return 10")],
        ),
        (
            "def f(a): return a",
            "def f(a, b): return a",
            [CodeChange(1, "def f(a): return a", 1, "def f(a, b): return a")],
        ),
        (
            "@one\nclass A(\n    B,\n):\n    x = 1",
            "@two\nclass A(\n    B,\n):\n    x = 1",
            [CodeChange(2, "@one class A( B, ):", 2, "@two class A( B, ):")],
        ),
        ("try:\n    a\nexcept B:\n    c", "try:\n    a\nexcept B:\n    d", [CodeChange(4, "c", 4, "d")]),
        ("x = 'ä'", "x = 'ö'", [CodeChange(1, "x = 'ä'", 1, "x = 'ö'")]),
        ("def f(:", "def f(a:", [CodeChange(1, "def f(:", 1, "def f(a:")]),
    ],
)
def test_changes(old: str, new: str, changes: list[CodeChange]) -> None:
    assert code_changes(old.encode(), new.encode()) == changes


def test_declared_encoding() -> None:
    old = "# coding: latin-1\nx = 'ä'".encode("latin-1")
    new = "# coding: latin-1\nx = 'ö'".encode("latin-1")
    assert code_changes(old, new) == [CodeChange(2, "x = 'ä'", 2, "x = 'ö'")]

"""The digest of code: layout does not count, everything else does, on every Python."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.code.canonical import tree_digest
from tests.support.examples import examples
from tests.support.paths import PROJECT

SAMPLE = '''
"""Docstring."""
from __future__ import annotations
import os, sys as system
from . import sibling

@decorator(1, key="x")
class A(B, metaclass=C):
    x: int = 3
    def f(self, a, /, b=2, *args, c, d=None, **kw) -> "int":
        return f"{a!r:>{b}.2f} {c=} tail" "more" if a else (yield)
    async def g(self):
        async with a as b, c: pass
        return [await x async for x in y if x]
try:
    x = {**a, 1: 2, "k": None, b"raw": 1.5, True: 3j, ...: not -1}
except* (E, F) as e:
    del x[1:2, ::3]
else:
    global_ = lambda *a, k=1: (a, k)
match x:
    case {"a": 1, **rest} | [None, *_] if rest: pass
    case C(y=2): raise E from None
huge = 0x10 ** 1000; text = "\\ud800 ä" u"u"; f"{x:}"; f""; f"{x:{y}}"
'''.replace("except*", "except")

RECORDED = "f6c446cf920b4d6bdc6f45b0ce076184685607e89cd05c113cfd11ebcb8b7c66"
"""tree_digest of SAMPLE."""

PROGRAM = (
    "import ast, sys; sys.path.insert(0, sys.argv[1]); from f0make.code.canonical import tree_digest; "
    "print(tree_digest(ast.parse(sys.stdin.buffer.read())))"
)


def digest(source: str) -> str:
    return tree_digest(ast.parse(source))


def test_recorded_digest_of_the_sample() -> None:
    assert digest(SAMPLE) == RECORDED


def interpreters() -> list[str]:
    found = [shutil.which(f"python3.{minor}") for minor in range(10, 14)]
    if home := os.environ.get("HOME"):
        found += [str(path) for path in Path(home).glob(".pyenv/versions/3.1[0-3].*/bin/python")]
    return sorted({path for path in found if path})


@pytest.mark.parametrize("python", interpreters() or [sys.executable])
def test_other_interpreters_agree(python: str) -> None:
    root = str(PROJECT)
    run = subprocess.run(
        [python, "-c", PROGRAM, root], input=SAMPLE.encode("utf-8"), capture_output=True, check=False
    )
    if run.returncode and b"Traceback" not in run.stderr:
        pytest.skip(f"{python} is no working interpreter")
    assert run.stdout.decode().strip() == RECORDED, run.stderr.decode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x=1  # one"),
        ("x = 'a'", 'x = """a"""'),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("x = u'a'", "x = 'a'"),
        ("x = 16", "x = 0x10"),
        ("x = (1 + 2) * 3", "x = ((1 + 2)) * (3)"),
        ("f(a, b)", "f(\n    a,\n    b,\n)"),
        ("if a:\n  b", "if a:\n\n        b ; "),
        ("x = a, b", "x = (a, b)"),
        ("x = [1]  # type: list", "x = [1]"),
    ],
)
def test_layout_does_not_count(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 1", "x = '1'"),
        ("x = 'a'", "x = b'a'"),
        ("x = None", "x = ..."),
        ("return_ = 1\ny = 2", "y = 2\nreturn_ = 1"),
        ("f(a, b)", "f(b, a)"),
        ("f(a=1)", "f(b=1)"),
        ("x = {a: 1, **b}", "x = {**b, a: 1}"),
        ("def f(): return", "def f(): return None"),
        ("def f(a, *, b=1, c): pass", "def f(a, *, b, c=1): pass"),
        ("def f(a, /, b): pass", "def f(a, b, /): pass"),
        ("def f(): pass", "async def f(): pass"),
        ("(x): int = 1", "x: int = 1"),
        ("from . import a", "from .. import a"),
        ("match x:\n case None: pass", "match x:\n case True: pass"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a:>3}'", "x = f'{a:>4}'"),
        ("x = 'a', 'b'", "x = 'a' 'b'"),
        ("x = [[1], 2]", "x = [[1, 2]]"),
        ("x = 'a)'", "x = 'a'"),
        ("a if b else c", "c if b else a"),
        ("x = - 1", "x = + 1"),
        ("'''doc'''", "'''other'''"),
        ("try: a\nexcept B: c", "try: a\nexcept B: pass"),
    ],
)
def test_code_counts(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_a_tree_deeper_than_the_recursion_limit() -> None:
    def deep(leaf: int) -> ast.expr:
        tree: ast.expr = ast.Constant(leaf)
        for _ in range(5000):
            tree = ast.UnaryOp(ast.Not(), tree)
        return tree

    assert tree_digest(deep(1)) != tree_digest(deep(2))


def test_an_integer_with_more_digits_than_python_prints() -> None:
    digits = "9" * 5000
    assert digest(f"x = 0x{digits}") != digest(f"x = 0x{digits[:-1]}8")


SOURCES = sorted((PROJECT / "f0make").rglob("*.py"))


@examples(40)
@given(st.sampled_from(SOURCES), st.randoms(use_true_random=False))
def test_relaid_modules_have_the_same_digest(path: Path, chance: random.Random) -> None:
    source = path.read_text(encoding="utf-8")
    relaid = "# a comment\n" + ast.unparse(ast.parse(source))
    lines = []
    for line in relaid.split("\n"):
        indent = len(line) - len(line.lstrip())
        if chance.random() < 0.2 and line.endswith((":", ")")) and '"""' not in relaid:
            line += "   # said in passing"
        lines.append(" " * indent + line)
    assert digest(relaid) == digest(source)
    if '"""' not in relaid and "'''" not in relaid:
        assert digest("\n".join(lines)) == digest(source)


@examples(60)
@given(st.sampled_from(SOURCES), st.randoms(use_true_random=False))
def test_any_changed_constant_or_name_changes_the_digest(path: Path, chance: random.Random) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    leaves = [
        node for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.Name, ast.arg, ast.Attribute))
    ]
    if not leaves:
        return
    leaf = chance.choice(leaves)
    if isinstance(leaf, ast.Constant):
        leaf.value = "another" if leaf.value is None or not isinstance(leaf.value, str) else leaf.value + "x"
    elif isinstance(leaf, ast.Name):
        leaf.id += "_"
    elif isinstance(leaf, ast.arg):
        leaf.arg += "_"
    else:
        leaf.attr += "_"
    assert tree_digest(tree) != digest(source)

"""No file, class or function of f0make is longer than a reader can hold in mind, but those that docs/design.md names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import PROJECT

LINES, METHODS, ATTRIBUTES, FUNCTION = 400, 25, 20, 70
"""At most so many lines of a file, methods and attributes of a class, lines of a function."""

DATA = "a plain table of data"
EXCEPTIONS = {
    "f0make/command_table.py": DATA,
    "f0make/model.py Step": DATA,
    "f0make/model.py Instance": DATA,
    "f0make/options.py RunOptions": DATA,
    "f0make/worker/bundle.py Bundle": DATA,
    "f0make/worker/bundle.py Outcome": DATA,
}
"""File, or file and class or function -> why it may be larger."""
IN_WORK = (
    "f0make/worker/agent/agent_main.py",
    "f0make/backends/ssh/fleet.py",
    "f0make/backends/clusters/cluster_backend.py",
    "f0make/backends/local/local_backend.py",
)
"""Files that are being worked on: nothing in them is held to the limits yet."""


def attributes(kind: ast.ClassDef) -> set[str]:
    """Names that the methods of ``kind`` assign to on ``self``, and its annotated fields."""
    found = {
        n.target.id for n in kind.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    for node in ast.walk(kind):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            found.add(node.attr)
    return found


def large(name: str, text: str) -> Iterator[tuple[str, str]]:
    """(what, how large) of everything in the file ``name`` that is beyond a limit."""
    lines = text.count("\n")
    if lines > LINES:
        yield name, f"{lines} lines"
    stack: list[tuple[str, ast.AST]] = [("", ast.parse(text))]
    while stack:
        above, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            path = above
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                path = f"{above}.{child.name}" if above else child.name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (child.end_lineno or child.lineno) - child.lineno + 1
                if length > FUNCTION:
                    yield f"{name} {path}", f"{length} lines"
            elif isinstance(child, ast.ClassDef):
                methods = sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in child.body)
                fields = len(attributes(child))
                if methods > METHODS or fields > ATTRIBUTES:
                    yield f"{name} {path}", f"{methods} methods, {fields} attributes"
            stack.append((path, child))


def test_the_limits_are_seen() -> None:
    body = "\n".join(f"        self.a{n} = {n}" for n in range(ATTRIBUTES + 1))
    many = "\n".join(f"    def m{n}(self): ..." for n in range(METHODS + 1))
    text = f"class A:\n    def __init__(self):\n{body}\nclass B:\n{many}\n"
    text += "def f():\n" + "    pass\n" * FUNCTION + "\n" * LINES
    assert {what for what, _ in large("x.py", text)} == {"x.py", "x.py A", "x.py B", "x.py f"}
    small = text.replace("        self.a0 = 0\n", "").replace("    def m0(self): ...\n", "")
    small = small.replace("def f():\n    pass\n", "def f():\n").rstrip("\n") + "\n"
    assert list(large("x.py", small)) == []


def test_everything_is_of_a_size_that_can_be_read() -> None:
    found: dict[str, str] = {}
    for path in sorted((Path(PROJECT) / "f0make").rglob("*.py")):
        name = path.relative_to(PROJECT).as_posix()
        if name not in IN_WORK:
            found.update(large(name, path.read_text(encoding="utf-8")))
    assert {what: size for what, size in found.items() if what not in EXCEPTIONS} == {}
    assert [what for what in EXCEPTIONS if what not in found] == [], "no longer too large: take them out"


@pytest.mark.parametrize("what", [*EXCEPTIONS, *IN_WORK])
def test_the_design_says_why(what: str) -> None:
    text = (Path(PROJECT) / "docs" / "design.md").read_text(encoding="utf-8")
    section = text.split("\n## Sizes\n", 1)[1].split("\n## ", 1)[0]
    file, _, member = what.removeprefix("f0make/").partition(" ")
    lines = [line for line in section.splitlines() if f"`{file}`" in line]
    assert [line for line in lines if not member or f"`{member}`" in line]

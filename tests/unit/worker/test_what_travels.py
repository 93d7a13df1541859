"""What is sent to other machines: `worker/` and what its text imports, which is little and lies low."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from f0make.backends import shipped_code
from f0make.worker.static_imports import closure, imported
from tests.support.paths import PROJECT

LOW = {
    "f0make",
    "f0make.ascii_json",
    "f0make.context",
    "f0make.errors",
    "f0make.fast_dataclass",
    "f0make.model",
    "f0make.regular_file",
    "f0make.trail",
}
"""Modules that what travels may need beside `worker` itself and the packages below."""
PACKAGES = (
    "f0make.worker",
    "f0make.files",
    "f0make.workspace",
    "f0make.cache",
    "f0make.store",
    "f0make.code",
)

PROGRAMS = (
    "agent/__init__.py",
    "agent/agent_main.py",
    "cluster/__init__.py",
    "cluster/step_process.py",
)
"""What stands as text in `shipped_code` and `worker_main` starts these."""

SHIPPED = shipped_code.modules()


def for_checkers(node: ast.AST) -> bool:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All below ``node`` that is executed one day."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not for_checkers(child):
            yield from statements(child)


def by_syntax(text: str) -> set[str]:
    """The modules of f0make that ``text`` imports, as the syntax tree has it; with what may be a name in one."""
    found = set()
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not followed"
            if (node.module or "").partition(".")[0] == "f0make":
                found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] == "f0make"}
    return found


def exist(modules: set[str]) -> set[str]:
    return {
        path
        for module in modules
        for path in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py")
        if (PROJECT / path).exists()
    }


def test_lines_say_what_the_syntax_tree_says() -> None:
    for file in PROJECT.glob("f0make/**/*.py"):
        text = file.read_text()
        found, known = {path for path in imported(text) if (PROJECT / path).exists()}, exist(by_syntax(text))
        # Programs that stand as text in others import for themselves.
        programs = {f"f0make/worker/{name}" for name in PROGRAMS}
        assert known <= found <= known | programs, file


def test_all_of_worker_is_sent_and_little_else() -> None:
    there = {str(p.relative_to(PROJECT)) for p in (PROJECT / "f0make/worker").glob("**/*.py")}
    assert there <= SHIPPED.keys()
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in SHIPPED}
    assert {m for m in modules if not f"{m}.".startswith(tuple(f"{p}." for p in PACKAGES))} <= LOW
    assert {m for m in modules if m.startswith("f0make.code.")} == {"f0make.code.rebuild"}
    assert {m for m in modules if m.startswith("f0make.store.")} == {"f0make.store.validate_record"}


def test_what_the_program_of_python_steps_needs_is_little() -> None:
    """It runs beside code of users, in any interpreter."""
    needed = closure((path for path in SHIPPED if path.startswith("f0make/worker/runtime/")), SHIPPED.get)
    others = {name for name in needed if not name.startswith("f0make/worker/runtime/")}
    assert {name for name in others if not name.endswith("/__init__.py")} == {
        "f0make/ascii_json.py",
        "f0make/context.py",
        "f0make/code/rebuild.py",
    }


def test_the_same_text_gives_the_same_zip_in_any_place() -> None:
    first = shipped_code.archive()
    shipped_code.archive.cache_clear()
    assert shipped_code.archive() == first


def test_cycles_and_unknown_names_end() -> None:
    texts = {
        "f0make/a.py": b"from f0make import b\nfrom f0make.nowhere import what\n",
        "f0make/b.py": b"def later():\n    import f0make.a\n    from f0make.c import (  # why\n        d,\n        e as f,\n    )\n",
        "f0make/c/__init__.py": b"",
        "f0make/c/e.py": b"if TYPE_CHECKING:\n    from f0make import g\n\n\nfrom f0make import h\n",
        "f0make/g.py": b"",
        "f0make/h.py": b"",
    }
    assert set(closure(["f0make/a.py"], texts.get)) == texts.keys() - {"f0make/g.py"}


def test_every_file_that_is_sent_is_a_file_of_the_project() -> None:
    assert all(Path(PROJECT / path).read_bytes() == text for path, text in SHIPPED.items())

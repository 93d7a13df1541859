"""What a run discovers is recorded and checked the next time: depfile prerequisites, context reads."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.contract_tools import Traced
from tests.support.f0 import F0

DEPFILE = """\
steps:
  - name: compile
    inputs: main.c
    outputs: main.o
    depfile: main.d
    run: |
      echo compile >> "$TRACE"
      set -- $(cat main.c)
      cat main.c "$@" > main.o
      echo "main.o: main.c $*" > main.d
"""


def test_depfile_prerequisites_become_inputs(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(DEPFILE)
    traced.write("main.c", "a.h\nb.h\n")
    for name in "abc":
        traced.write(f"{name}.h", f"{name} 1\n")
    assert traced.run().states == {"compile": "ran"} and not traced.exists("main.d")
    assert traced.run().states == {"compile": "current"}
    traced.write("c.h", "c 2\n")
    assert traced.run().states == {"compile": "current"}
    result = None
    traced.write("a.h", "a 2\n")
    assert "a.h" in traced("why", "recipe.yaml", "compile").stdout
    result = traced.run()
    assert result.states == {"compile": "ran"} and "a.h" in result.reasons["compile"]
    # All results of a key are kept, also those that differ only in what was discovered.
    traced.write("a.h", "a 1\n")
    assert traced.run().states == {"compile": "restored"} and traced.read("main.o") == "a.h\nb.h\na 1\nb 1\n"
    traced.write("a.h", "a 2\n")
    assert traced.run().states == {"compile": "restored"} and traced.read("main.o") == "a.h\nb.h\na 2\nb 1\n"
    # Another set of prerequisites; then one that is not read any more does not count.
    traced.write("main.c", "c.h\n")
    assert traced.run().states == {"compile": "ran"}
    traced.write("a.h", "a 3\n")
    assert traced.run().states == {"compile": "current"}
    traced.write("main.c", "a.h\nb.h\n")
    assert traced.run().states == {"compile": "ran"}
    traced.write("a.h", "a 1\n")
    assert traced.run().states == {"compile": "restored"}
    # A prerequisite that is gone.
    traced.remove("b.h")
    assert traced.run(code=1).states == {"compile": "failed"}
    traced.write("b.h", "b 1\n")
    assert traced.run().states == {"compile": "restored"}


def test_a_real_compiler_and_a_shared_cache(f0: F0) -> None:
    recipe = """\
steps:
  - name: compile
    inputs: main.c
    outputs: main.o
    depfile: main.d
    run: 'echo cc >> "$TRACE"; gcc -c -MMD -MP -MF main.d main.c -o main.o'
  - name: link
    inputs: main.o
    outputs: program
    run: gcc main.o -o program
"""
    places = [Traced(f0.workspace / name) for name in ("one", "two")]
    for place in places:
        place.recipe(recipe)
        place.write("main.c", '#include "value of it.h"\nint main(void) { return VALUE; }\n')
        place.write("value of it.h", "#define VALUE 3\n")
    one, two = places
    assert set(one.run("--cache", "../cache").states.values()) == {"ran"}
    assert set(two.run("--cache", "../cache").states.values()) == {"restored"}
    assert one.executed() == ["cc"]
    two.write("value of it.h", "#define VALUE 4\n")
    assert set(two.run("--cache", "../cache").states.values()) == {"ran"}
    one.write("value of it.h", "#define VALUE 4\n")
    assert set(one.run("--cache", "../cache").states.values()) == {"restored"}
    assert one.executed() == ["cc"] and os.spawnv(os.P_WAIT, str(one.workspace / "program"), ["program"]) == 4


CONTEXT_CODE = """\
def write(value: str, other: str, ctx):
    ctx.set("value", value)
    ctx.set("other", other)


def read(ctx):
    open("out.txt", "w").write(ctx.get("value") + ctx.get("absent", "-") + "\\n")
    open(__import__("os").environ["TRACE"], "a").write("read\\n")
"""
CONTEXT = """\
steps:
  - name: write
    module: code
    function: write
    args:
      value: one
      other: one
  - name: read
    depends_on:
      - write
    module: work
    function: read
    outputs: out.txt
"""


def test_context_reads_join_the_key(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.write("work.py", CONTEXT_CODE)
    traced.recipe(CONTEXT.replace("module: code", "module: work"))
    assert traced.run().states == {"write": "ran", "read": "ran"}
    assert traced.run().states == {"write": "current", "read": "current"}
    # A key that it does not read.
    traced.edit("recipe.yaml", "other: one", "other: two")
    assert traced.run().states == {"write": "ran", "read": "current"}
    traced.edit("recipe.yaml", "value: one", "value: two")
    assert traced.run().states == {"write": "ran", "read": "ran"} and traced.read("out.txt") == "two-\n"
    # Back: the writes are replayed from the record, and so the reader is restored.
    traced.edit("recipe.yaml", "value: two", "value: one")
    assert traced.run().states == {"write": "current", "read": "restored"}
    assert traced.read("out.txt") == "one-\n" and traced.executed() == ["read", "read"]
    # A key that was asked for and not there appears.
    traced.edit("work.py", 'ctx.set("other", other)', 'ctx.set("other", other); ctx.set("absent", "!")')
    traced.run()
    assert traced.read("out.txt") == "one!\n"
    assert '"one"' in traced("context", "recipe.yaml", "--json").stdout


def test_key_parts_do_not_run_into_each_other(f0: F0) -> None:
    """Two lists that differ only in where one item ends are two keys."""
    traced = Traced(f0.workspace)
    recipe = 'steps:\n  - name: a\n    env:\n      A: {a}\n      B: {b}\n    run: echo a >> "$TRACE"\n'
    traced.recipe(recipe.format(a='"x\\nB=y"', b="z"))
    traced.recipe(
        "steps:\n  - name: a\n    env:\n      A: |-\n        x\n        B=y\n      B: z\n    run: 'true'\n"
    )
    traced.run()
    traced.recipe(
        "steps:\n  - name: a\n    env:\n      A: x\n      B: |-\n        y\n        B=z\n    run: 'true'\n"
    )
    assert traced.run().states == {"a": "ran"}
    assert Path(traced.workspace, ".f0make").is_dir()

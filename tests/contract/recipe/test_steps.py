"""The keys of a step, each by what it does."""

from __future__ import annotations

import os
import stat
import time

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


def test_inputs_and_outputs_in_every_form(traced: Traced) -> None:
    for name in ("a.csv", "b.csv"):
        traced.write(f"data/{name}", name + "\n")
    traced.write("one.txt", "one\n")
    traced.recipe(
        "steps:\n"
        "  - name: list\n"
        "    inputs:\n      - one.txt\n      - data/*.csv\n"
        "    outputs:\n      - list/deep/all.txt\n      - list/n.txt\n"
        "    run: cat ${{ inputs }} > ${{ outputs[0] }}; echo ${{ inputs | length }} > ${{ outputs[1] }}\n"
        "  - name: map\n"
        "    inputs:\n      single: one.txt\n      many:\n        - data/b.csv\n        - data/a.csv\n"
        "    outputs:\n      text: map.txt\n      tree: map/\n      more:\n        - path: more.txt\n"
        "    run: |\n"
        "      cat ${{ inputs.single }} ${{ inputs.many }} > ${{ outputs.text }}\n"
        "      echo ${{ inputs }} > ${{ outputs.more }}; mkdir -p ${{ outputs.tree }}; touch ${{ outputs.tree }}/x\n"
        "  - name: read\n"
        "    inputs: map/\n    outputs: read.txt\n    run: ls map > read.txt\n"
        "  - name: inside\n"
        "    inputs: map/x\n    outputs: inside.txt\n    run: cp map/x inside.txt\n"
    )
    assert set(traced.run().states.values()) == {"ran"}
    assert traced.read("list/deep/all.txt") == "one\na.csv\nb.csv\n" and traced.read("list/n.txt") == "3\n"
    assert traced.read("map.txt") == "one\nb.csv\na.csv\n"
    assert traced.read("more.txt") == "one.txt data/b.csv data/a.csv\n"
    assert traced.read("read.txt") == "x\n" and traced.exists("inside.txt")


def test_a_phony_step_gathers(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: all\n    inputs:\n      - a.txt\n    depends_on:\n      - check\n"
        "  - name: a\n    outputs: a.txt\n    run: touch a.txt\n"
        "  - name: check\n    run: 'true'\n"
        "  - name: other\n    run: 'true'\n"
    )
    assert set(traced.run("all").states) == {"all", "a", "check"}
    result = traced.run("all")
    assert set(result.states.values()) == {"current"}


def test_depends_on_orders_and_is_no_input(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: second\n    depends_on: first\n    run: '[ -e made ]; touch made2'\n"
        "  - name: first\n    foreach:\n      n:\n        range: 1..3\n    env:\n      V: a\n    run: sleep 0.1; touch made\n"
    )
    result = traced.run("-j2")
    assert [e["step"] for e in result.events if e["event"] == "step"][-1] == "second"
    traced.edit("recipe.yaml", "V: a", "V: b")
    assert traced.run("-j2").states["second"] == "current"


def test_success(traced: Traced) -> None:
    traced.write(
        "work.py",
        "def some(ctx):\n    ctx.set('a.b', 1)\n\n\ndef bad():\n    return 3\n\n\ndef fine():\n    return 0\n",
    )
    traced.recipe(
        "steps:\n"
        "  - name: empty\n    outputs: e\n    success:\n      not_empty: yes\n    run: touch e\n"
        "  - name: empty_tree\n    outputs: t/\n    success:\n      not_empty: yes\n    run: mkdir -p t\n"
        "  - name: full\n    outputs: f\n    success:\n      not_empty: yes\n    run: echo f > f\n"
        "  - name: codes\n    outputs: c\n    success:\n      exit_codes:\n        - 0\n        - 3\n    run: touch c; exit 3\n"
        "  - name: code\n    success:\n      exit_codes:\n        - 3\n    run: 'true'\n"
        "  - name: keys\n    module: work\n    function: some\n    success:\n      ctx_has_keys:\n        - a.b\n"
        "  - name: no_keys\n    module: work\n    function: some\n    success:\n      ctx_has_keys:\n        - a.c\n"
        "  - name: bad\n    module: work\n    function: bad\n"
        "  - name: fine\n    module: work\n    function: fine\n"
    )
    result = traced.run("-k", code=1)
    assert result.states == {
        "empty": "failed",
        "empty_tree": "failed",
        "full": "ran",
        "codes": "ran",
        "code": "failed",
        "keys": "ran",
        "no_keys": "failed",
        "bad": "failed",
        "fine": "ran",
    }
    assert "a.c" in result.reasons["no_keys"] and "empty" in result.reasons["empty"]
    assert traced.run("codes").states == {"codes": "current"}


def test_retries_and_attempt(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: third\n    retries: 2\n    outputs: o\n"
        f"    run: |\n      {TRACE}\n      echo ${{{{ attempt }}}} >> o\n      [ ${{{{ attempt }}}} -eq 3 ]\n"
        "  - name: never\n    retries: 1\n    retry_delay: 0.4\n"
        f"    run: |\n      {TRACE}\n      exit ${{{{ attempt + 4 }}}}\n"
    )
    began = time.monotonic()
    result = traced.run("-k", code=1)
    assert time.monotonic() - began > 0.4
    assert result.states == {"third": "ran", "never": "failed"}
    assert traced.executed() == ["never", "never", "third", "third", "third"]
    assert traced.read("o") == "3\n"  # Each attempt begins with cleared outputs.
    assert "6" in result.reasons["never"]
    # The key is made with attempt 1.
    assert traced.run("third").states == {"third": "current"}
    # The option wins over what steps say.
    traced.run("never", "--retries", "0", code=1)
    assert traced.executed() == ["never"]


def test_timeout_ends_everything(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    timeout: 500ms\n    retries: 1\n    outputs: o\n"
        f"    run: |\n      {TRACE}\n      echo half > o\n      (while true; do touch alive; sleep 0.02; done) &\n      sleep 30\n"
    )
    began = time.monotonic()
    result = traced.run(code=1)
    assert time.monotonic() - began < 10 and "timed out" in result.reasons["a"]
    assert traced.executed() == ["a", "a"] and not traced.exists("o")
    (traced.workspace / "alive").unlink()
    time.sleep(0.1)
    assert not traced.exists("alive")


def test_scripts_of_other_interpreters(traced: Traced) -> None:
    traced.write("in file.txt", "text\n")
    traced.recipe(
        "steps:\n"
        "  - name: python\n    inputs: in file.txt\n    outputs: p.txt\n"
        "    run: |\n"
        "      #!/usr/bin/env python3\n"
        "      import sys\n"
        "      text = open(${{ inputs[0] | tojson }}).read()\n"
        "      open(${{ outputs[0] | tojson }}, 'w').write(text + str(len(sys.argv)))\n"
        "  - name: sh\n    inputs: in file.txt\n    outputs: s.txt\n"
        "    run: |\n"
        "      #!/bin/sh\n"
        "      cat ${{ inputs | quote }} > s.txt\n"
        "      false\n"
        "      echo not strict >> s.txt\n"
        "  - name: awk\n    inputs: in file.txt\n    outputs: a.txt\n    env:\n      LC_ALL: C\n"
        "    run: |\n"
        "      #!/usr/bin/env -S awk -f\n"
        '      BEGIN { while ((getline line < "in file.txt") > 0) print toupper(line) > "a.txt" }\n'
        "  - name: gone\n    run: |\n      #!/no/such/interpreter\n      x\n"
    )
    result = traced.run("-k", code=1)
    assert result.states == {"python": "ran", "sh": "ran", "awk": "ran", "gone": "failed"}
    assert traced.read("p.txt") == "text\n1" and traced.read("s.txt") == "text\nnot strict\n"
    assert traced.read("a.txt") == "TEXT\n"
    assert "/no/such/interpreter" in result.stderr
    assert sorted(os.listdir(traced.workspace / ".f0make/run")) == []


def test_protected_outputs(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    inputs: in.txt\n    outputs:\n      - path: o.txt\n        protected: yes\n"
        "      - path: tree/\n        protected: yes\n"
        f"    run: |\n      {TRACE}\n      cp in.txt o.txt; mkdir -p tree; cp in.txt tree/x\n"
    )
    traced.write("in.txt", "1\n")
    traced.run()
    for path in ("o.txt", "tree/x"):
        assert not stat.S_IMODE(os.stat(traced.workspace / path).st_mode) & 0o222
    assert traced.run().states == {"a": "current"}
    traced.write("in.txt", "2\n")
    result = traced.run(code=1)
    assert (
        result.states == {"a": "failed"}
        and "o.txt" in result.reasons["a"]
        and "--force" in result.reasons["a"]
    )
    assert traced.read("o.txt") == "1\n" and traced.read("tree/x") == "1\n"
    assert traced.run("--force", "a").states == {"a": "ran"}
    assert traced.read("o.txt") == "2\n" and traced.read("tree/x") == "2\n"
    assert not stat.S_IMODE(os.stat(traced.workspace / "o.txt").st_mode) & 0o222
    # One that was lost is no replacement.
    traced.remove("o.txt")
    assert traced.run().states == {"a": "restored"}
    assert not stat.S_IMODE(os.stat(traced.workspace / "o.txt").st_mode) & 0o222


def test_when(traced: Traced) -> None:
    values = [
        "no",
        "No",
        "FALSE",
        "false",
        "0",
        "${{ '' }}",
        "yes",
        "1",
        "anything",
        "${{ config.on }}",
        "${{ 1 > 2 }}",
    ]
    traced.recipe(
        "config:\n  on: no\nsteps:\n"
        + "".join(
            f"  - name: s{n}\n    when: {v}\n    outputs: o{n}\n    run: touch o{n}\n"
            for n, v in enumerate(values)
        )
        + "  - name: needs\n    inputs: o0\n    outputs: n\n    run: touch n\n"
        + "  - name: ordered\n    depends_on: s1\n    run: 'true'\n"
        + "  - name: each\n    foreach:\n      x:\n        - a\n        - b\n    when: ${{ x == 'a' }}\n    run: 'true'\n"
    )
    result = traced.run()
    skipped = {n for n, state in result.states.items() if state == "skipped"}
    assert skipped == {"s0", "s1", "s2", "s3", "s4", "s5", "s9", "s10", "needs", "ordered", "each[x=b]"}
    assert all(state == "ran" for name, state in result.states.items() if name not in skipped)
    assert result.summary["skipped"] == len(skipped)
    assert traced.run("--set", "on=yes").states["s9"] == "ran"


def test_always_and_cache(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        f"  - name: a\n    always: yes\n    outputs: a\n    run: |\n      {TRACE}\n      echo same > a\n"
        f"  - name: b\n    inputs: a\n    outputs: b\n    run: |\n      {TRACE}\n      cp a b\n"
    )
    traced.run()
    assert traced.run().states == {"a": "ran", "b": "current"}
    assert traced.run("b").states == {"a": "ran", "b": "current"}
    assert traced.executed() == ["a", "a", "a", "b"]


def test_fingerprints_run_only_in_a_run(traced: Traced) -> None:
    traced.write("version", "1\n")
    traced.recipe(
        "steps:\n  - name: a\n    fingerprint:\n      - cat version\n      - echo x >> taken\n    outputs: o\n"
        f"    run: |\n      {TRACE}\n      cat version > o\n"
    )
    traced.run()
    assert traced.run().states == {"a": "current"}
    taken = len(traced.read("taken").split())
    traced.write("version", "2\n")
    # Everything else uses the last output that was recorded, and says so.
    plan = traced("plan", "recipe.yaml", "-v")
    assert "current" in plan.stdout and "fingerprint" in plan.stdout + plan.stderr
    assert len(traced.read("taken").split()) == taken
    assert traced.run().states == {"a": "ran"} and traced.read("o") == "2\n"
    traced.edit("recipe.yaml", "cat version\n", "cat version nowhere\n")
    result = traced.run(code=1)
    assert result.states == {"a": "failed"} and "nowhere" in result.stderr + result.reasons["a"]


def test_depfile_formats(traced: Traced) -> None:
    for name in ("a.h", "b c.h", "d.h", "e#f.h", "g$h.h"):
        traced.write(name, "1\n")
    traced.recipe(
        "steps:\n  - name: a\n    outputs: o\n    depfile: deps/x.d\n"
        f"    run: |\n      {TRACE}\n      touch o\n      mkdir -p deps\n      cat > deps/x.d << 'END'\n"
        "      o other: a.h b\\ c.h \\\n"
        "        d.h e\\#f.h g$$h.h\n"
        "      \n"
        "      a.h:\n"
        "      b\\ c.h:\n"
        "      END\n"
    )
    traced.run()
    assert not traced.exists("deps/x.d") and traced.run().states == {"a": "current"}
    for number, name in enumerate(("a.h", "b c.h", "d.h", "e#f.h", "g$h.h")):
        traced.write(name, f"{number + 2}\n")
        assert traced.run().states == {"a": "ran"}, name


def test_a_depfile_may_name_what_another_step_makes(traced: Traced) -> None:
    """As a compiler does with generated headers that `depends_on` puts in front."""
    traced.write("in.txt", "1\n")
    traced.recipe(
        "steps:\n"
        "  - name: generate\n    inputs: in.txt\n    outputs: gen.h\n    run: cp in.txt gen.h\n"
        "  - name: compile\n    depends_on: generate\n    outputs: o\n    depfile: o.d\n"
        "    run: 'cp gen.h o; echo \"o: gen.h\" > o.d'\n"
    )
    traced.run()
    traced.write("in.txt", "2\n")
    assert traced.run().states == {"generate": "ran", "compile": "ran"} and traced.read("o") == "2\n"
    traced.write("in.txt", "1\n")
    assert (
        traced.run().states == {"generate": "restored", "compile": "restored"} and traced.read("o") == "1\n"
    )


def test_env_of_a_step(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs: o\n    env:\n      A: a b\n      B: ${{ env.A }}!\n      EMPTY: ''\n"
        '      Q: it\'s "quoted" $HOME\n'
        '    run: printf \'%s|\' "$A" "$B" "$EMPTY" "$Q" "$INHERITED" ${{ env.A }} > o\n'
    )
    traced.run(env={"INHERITED": "yes"})
    assert traced.read("o") == 'a b|a b!||it\'s "quoted" $HOME|yes|a b|'


def test_steps_run_in_the_workspace_without_stdin(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: o\n    run: pwd > o; cat >> o; echo end >> o\n")
    traced.run()
    assert traced.read("o") == f"{os.path.realpath(traced.workspace)}\nend\n"


def test_outputs_may_be_symlinks_and_executables(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n    outputs:\n      - link\n      - tool\n      - dangling\n"
        f"    run: |\n      {TRACE}\n      ln -s tool link; ln -s nowhere dangling; echo 'echo hi' > tool; chmod +x tool\n"
        "  - name: b\n    inputs:\n      - link\n      - tool\n    outputs: said\n    run: ./link > said\n"
    )
    traced.run()
    assert traced.run().summary["current"] == 2
    for name in ("link", "tool", "dangling", "said"):
        traced.remove(name)
    assert traced.run().states == {"a": "restored", "b": "restored"} and traced.executed() == ["a"]
    assert (
        os.readlink(traced.workspace / "link") == "tool"
        and os.readlink(traced.workspace / "dangling") == "nowhere"
    )
    assert os.access(traced.workspace / "tool", os.X_OK) and traced.read("said") == "hi\n"


@pytest.mark.parametrize("value", ["-3", "-(1 << 62)", "1 << 40"])
def test_whatever_a_function_returns_the_run_is_remembered(traced: Traced, value: str) -> None:
    traced.recipe("steps:\n  - name: s\n    module: m\n    function: f\n")
    traced.write("m.py", f"def f():\n    return {value}\n")
    assert "returned " in traced("run", "recipe.yaml").stderr
    for verb in ("status", "history"):
        result = traced(verb)
        assert "failed" in result.stdout and "damaged" not in result.stderr


@pytest.mark.parametrize("name", ["x" * 256, "a/../" + "y" * 300, "z/" * 2100 + "z"])
def test_a_depfile_may_name_what_no_file_can_be_called(traced: Traced, name: str) -> None:
    traced.recipe(
        "steps:\n  - name: s\n    outputs: o\n    depfile: d\n"
        f"    run: |\n      {TRACE}\n      echo 'o: {name} there' > d; touch o\n"
    )
    traced.write("there", "1")
    traced.run()
    traced.executed()
    traced.edit("recipe.yaml", "name: s", "name: s\n    description: the same")
    result = traced("run", "recipe.yaml")
    assert result.code == 0 and "damaged" not in result.stderr and traced.executed() == []
    traced.write("there", "2")
    traced.run()
    assert len(traced.executed()) == 1

"""Torn and corrupt state, odd file names, long commands, and recipes that are never trusted before a run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import F0
from contract_tools import TRACE, Traced


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


SEVERAL = f"""\
steps:
  - name: part
    foreach:
      n:
        range: 1..4
    inputs: in.txt
    outputs: parts/${{{{ n }}}}
    run: |
      {TRACE}
      cat in.txt > ${{{{ outputs }}}}; echo ${{{{ n }}}} >> ${{{{ outputs }}}}
  - name: code
    module: work
    function: main
    outputs: code.txt
  - name: all
    inputs:
      - ${{{{ steps.part.outputs }}}}
      - code.txt
    outputs:
      - all.txt
      - tree/
    depfile: all.d
    run: |
      {TRACE}
      cat ${{{{ inputs }}}} > all.txt; mkdir -p tree; cp all.txt tree/x; echo "all.txt: found.txt" > all.d
"""


def prepare(place: Traced) -> None:
    place.recipe(SEVERAL)
    place.write("in.txt", "input\n")
    place.write("found.txt", "found\n")
    place.write("work.py", "def main(ctx):\n    ctx.set('k', 'v')\n    open('code.txt', 'w').write('code\\n')\n")


RIGHT = "".join(f"input\n{n}\n" for n in range(1, 5)) + "code\n"

DAMAGE = {
    "removed": None,
    "emptied": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "torn at the last byte": lambda data: data[:-1],
    "one byte flipped": lambda data: data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 0x41]) + data[len(data) // 3 + 1 :],
    "zeros at the end": lambda data: data[: len(data) * 2 // 3] + bytes(len(data) - len(data) * 2 // 3),
    "garbage": lambda data: b"\x00\xff garbage \n\n" * 20,
    "foreign line": lambda data: data + b'{"this": "is no line of ours"}\n\xff\xfe',
}


def state_files(place: Traced) -> list[str]:
    """Every file of the state but blobs and logs."""
    root = place.workspace / ".f0make"
    files = [p for p in root.rglob("*") if p.is_file()]
    return sorted(str(p.relative_to(root)) for p in files if p.relative_to(root).parts[0] not in ("cache", "logs"))


def damage(place: Traced, name: str, how: str) -> None:
    path = place.workspace / ".f0make" / name
    change = DAMAGE[how]
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))


def check_damaged(traced: Traced, files: list[str], how: str) -> None:
    """A copy of a workspace, some of its state damaged: runs go on to be right, and to find out what is current."""
    place = Traced(traced.workspace.parent / f"copy {how} {len(files)} {files[0].replace('/', ' ')}" / "workspace")
    shutil.copytree(traced.workspace, place.workspace, symlinks=True)
    for name in files:
        damage(place, name, how)
    # Something changes as well, so that what was lost cannot hide behind "nothing to do".
    place.write("in.txt", "changed\n")
    result = place.run()
    assert place.read("all.txt") == RIGHT.replace("input", "changed"), (files, how)
    assert place.read("tree/x") == place.read("all.txt")
    if "records.log" in files and how in ("one byte flipped", "garbage", "zeros at the end"):
        assert "records.log" in result.stderr, (how, result.stderr)
    states = place.run().states
    assert set(states.values()) == {"current"}, (files, how, states)
    place.write("in.txt", "input\n")
    place.run()
    assert place.read("all.txt") == RIGHT, (files, how)
    assert place.read("found.txt") == "found\n"


@pytest.mark.parametrize("how", DAMAGE, ids=lambda h: h.replace(" ", "-"))
def test_a_damaged_log_never_makes_a_run_fail_or_lie(traced: Traced, how: str) -> None:
    prepare(traced)
    traced.run()
    check_damaged(traced, ["records.log"], how)
    check_damaged(traced, state_files(traced), how)


@pytest.mark.parametrize("how", ["garbage", "one byte flipped"])
def test_other_damaged_files_never_make_a_run_fail_or_lie(traced: Traced, how: str) -> None:
    prepare(traced)
    traced.run()
    others = [name for name in state_files(traced) if name not in ("records.log", "lock", ".gitignore")]
    assert {"runs.log", "signatures"} <= set(others)
    for name in others:
        check_damaged(traced, [name], how)


def test_a_damaged_line_costs_no_more_than_itself(traced: Traced) -> None:
    prepare(traced)
    traced.run()
    traced.executed()
    path = traced.workspace / ".f0make/records.log"
    lines = path.read_bytes().split(b"\n")
    number = next(n for n, line in enumerate(lines) if b" record " in line and b"part[n=2]" in line)
    lines[number] = lines[number][:20] + b"\xff" + lines[number][21:]
    path.write_bytes(b"\n".join(lines))
    shutil.rmtree(traced.workspace / ".f0make/snapshots", ignore_errors=True)
    (traced.workspace / ".f0make/records.idx").unlink(missing_ok=True)
    states = traced.run().states
    assert states.pop("part[n=2]") == "ran" and set(states.values()) == {"current"}
    assert traced.executed() == ["part[n=2]"]


def test_every_prefix_of_the_log_is_a_good_log(traced: Traced) -> None:
    """As after a power cut: whatever reached the disk, the next run is right and loses no file."""
    prepare(traced)
    traced.run()
    log = traced.workspace / ".f0make/records.log"
    data = log.read_bytes()
    for number in (1, 3, 5):
        place = Traced(traced.workspace.parent / f"prefix{number}" / "workspace")
        shutil.copytree(traced.workspace, place.workspace, symlinks=True)
        (place.workspace / ".f0make/records.log").write_bytes(data[: len(data) * number // 6])
        for name in ("records.idx", "snapshots"):
            target = place.workspace / ".f0make" / name
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
        place.run()
        assert place.read("all.txt") == RIGHT
        assert set(place.run().states.values()) == {"current"}


def test_a_newer_format_is_refused_and_kept(traced: Traced) -> None:
    prepare(traced)
    traced.run()
    log = traced.workspace / ".f0make/records.log"
    from zlib import crc32

    body = b'header {"format": 99}'
    lines = log.read_bytes().split(b"\n", 1)
    newer = b"%08x " % crc32(body) + body + b"\n" + lines[1]
    log.write_bytes(newer)
    shutil.rmtree(traced.workspace / ".f0make/snapshots", ignore_errors=True)
    (traced.workspace / ".f0make/records.idx").unlink(missing_ok=True)
    result = traced("run", "recipe.yaml")
    assert result.code == 1 and ".f0make" in result.stderr
    assert log.read_bytes() == newer


# File names.

ODD = [
    "a b",
    " leading and trailing ",
    "it's",
    'say "hi"',
    "$HOME `id` $(id)",
    "new\nline",
    "tab\there",
    "back\\slash",
    "star*",
    "[x]",
    "{y}",
    "-n",
    "#hash",
    "semi;colon&",
    "ünïcödé ✓ 漢字",
    "u\u0308",
    "\U0001f600",
    "percent%20",
    "100%",
    "a=b,c",
    "~",
]
NAMES = f"""\
steps:
  - name: copy
    foreach:
      name:
        glob: in/${{{{ name }}}}
    inputs: in/${{{{ name }}}}
    outputs: out/${{{{ name }}}}
    run: |
      echo x >> "$TRACE"
      cat < ${{{{ inputs }}}} > ${{{{ outputs }}}}
  - name: all
    inputs: ${{{{ steps.copy.outputs }}}}
    outputs: all.txt
    run: cat -- ${{{{ inputs }}}} > all.txt
  - name: tree
    inputs: in/
    outputs: tree/
    run: cp -r in/. tree/
"""


def odd_names() -> list[str]:
    return [*ODD, os.fsdecode(b"not \xff utf8 \xe9"), "long " + "x" * 240]


def test_file_names_may_hold_anything(traced: Traced) -> None:
    names = odd_names()
    traced.recipe(NAMES.replace("cp -r in/. tree/", "mkdir -p tree; cp -r in/. tree/"))
    for number, name in enumerate(names):
        traced.write("in/" + name, f"{number}\n")
    result = traced.run("-j2")
    assert result.summary["ran"] == len(names) + 2
    for number, name in enumerate(names):
        assert traced.read("out/" + name) == f"{number}\n" and traced.read("tree/" + name) == f"{number}\n"
    assert sorted(traced.read("all.txt").split()) == sorted(str(n) for n in range(len(names)))
    again = traced.run()
    assert set(again.states.values()) == {"current"} and len(again.states) == len(names) + 2
    # Lost, altered, added: restored, displaced, as with any other name.
    traced.executed()
    for name in names:
        traced.remove("out/" + name)
        traced.remove("tree/" + name)
    assert traced.run().summary["restored"] == len(names) + 1 and traced.executed() == []
    for name in names:
        traced.write("out/" + name, "mine\n")
        traced.write("tree/added " + name[:200], "mine\n")
    assert traced.run().summary["restored"] == len(names) + 1
    assert len(traced.displaced()) == 2 * len(names)
    assert set(os.listdir(traced.workspace / "tree")) == set(names)
    # Also where people look.
    for args in (("plan", "recipe.yaml", "-v"), ("status",), ("list", "recipe.yaml"), ("graph", "recipe.yaml"), ("history",)):
        assert traced(*args).code == 0, args
    assert traced("why", "recipe.yaml", "out/new\nline").code == 0
    for name in names[:8]:
        assert traced.run("out/" + name).code == 0
    traced.write("in/" + names[0], "changed\n")
    assert traced.run("out/" + names[0]).summary["ran"] == 1
    assert traced("clean", "recipe.yaml").code == 0
    assert not traced.exists("all.txt") and not any(traced.exists("out/" + n) for n in names)
    assert all(traced.exists("in/" + n) for n in names)


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_no_locale_and_no_home_is_needed(traced: Traced, locale: str) -> None:
    traced.recipe(NAMES.split("  - name: tree")[0])
    for name in ("ünï ✓", os.fsdecode(b"\xff"), "plain"):
        traced.write("in/" + name, "1\n")
    env = {k: v for k, v in traced.environment().items() if k in ("PATH", "PYTHONPATH", "TRACE")}
    env.update(LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    from conftest import command

    for expected in ("ran", "current"):
        done = subprocess.run(
            [*command(), "run", "recipe.yaml", "--json"], cwd=traced.workspace, env=env, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b'"status": "%s"' % expected.encode()) == 4, done.stdout
    assert traced.read("all.txt") == "1\n" * 3


def test_the_workspace_itself_may_have_an_odd_name(f0: F0) -> None:
    for name in ("a b 'c' \"d\" $e\n", os.fsdecode(b"\xff\xfe"), "ünï"):
        place = Traced(f0.workspace / name)
        prepare(place)
        place.run()
        assert place.read("all.txt") == RIGHT
        assert set(place.run().states.values()) == {"current"}
        result = f0("run", "-C", name, "recipe.yaml", "--json")
        assert result.code == 0 and set(result.states.values()) == {"current"}


def test_paths_of_a_recipe_with_quotes_and_templates(traced: Traced) -> None:
    traced.recipe(
        "config:\n  dir: it's \"odd\" $HOME\n"
        "steps:\n"
        "  - name: a\n    outputs:\n      one: ${{ config.dir }}/a b\n      many:\n        - ${{ config.dir }}/c\n        - d d\n"
        "    run: for f in ${{ outputs.one }} ${{ outputs.many }}; do echo hi > \"$f\"; done\n"
        "  - name: b\n    inputs: ${{ steps.a.outputs }}\n    outputs: n\n    run: cat ${{ inputs }} | wc -l > n\n"
    )
    traced.run()
    assert traced.read("n").strip() == "3" and traced.read('it\'s "odd" $HOME/a b') == "hi\n"


# Long commands.


def test_commands_longer_than_the_argument_limit(traced: Traced) -> None:
    words = " ".join(f"word{n}" for n in range(40000))
    lines = "".join(f"      echo line {n} {'x' * 90}\n" for n in range(2000))
    assert len(words) > 2 * 131072
    traced.recipe(
        f"steps:\n"
        f"  - name: one_line\n    outputs: one.txt\n    run: echo {words} | tr ' ' '\\n' | tail -n 1 > one.txt; false || true\n"
        f"  - name: lines\n    outputs: lines.txt\n    run: |\n      exec > lines.txt\n{lines}"
        f"  - name: script\n    outputs: script.txt\n    run: |\n      #!/usr/bin/env -S python3 -u\n      x = '{words}'\n"
        f"      open('script.txt', 'w').write(x[-9:])\n"
        f"  - name: strict\n    outputs: strict.txt\n    run: echo {words} | false | true; touch strict.txt\n"
    )
    result = traced.run("-k", code=1)
    assert result.states == {"one_line": "ran", "lines": "ran", "script": "ran", "strict": "failed"}
    assert traced.read("one.txt") == "word39999\n" and len(traced.read("lines.txt").splitlines()) == 2000
    assert traced.read("script.txt") == "word39999"


def test_thousands_of_inputs_in_one_command(traced: Traced) -> None:
    count = 3000
    for n in range(count):
        traced.write(f"data/{n:05}-{'x' * 60}.txt", "1\n")
    traced.recipe("steps:\n  - name: sum\n    inputs: data/*.txt\n    outputs: n\n    run: for f in ${{ inputs }}; do echo 1; done | wc -l > n\n")
    traced.run()
    assert traced.read("n").strip() == str(count)


# A recipe is not trusted code until a step runs.

HOSTILE = """\
config:
  text: $(touch executed-config)
steps:
  - name: shell
    outputs: a.txt
    fingerprint:
      - touch executed-fingerprint
      - echo $(touch executed-too)
    env:
      X: $(touch executed-env)
    when: ${{ config.text }}
    run: touch executed-run a.txt
  - name: python
    module: hostile
    function: main
    args:
      number: 3
    inputs: a.txt
"""


def test_only_a_run_executes_anything(traced: Traced) -> None:
    traced.recipe(HOSTILE)
    traced.write("hostile.py", "open('executed-import', 'w')\nimport sys\n\n\ndef main(number: int):\n    pass\n")
    traced.write("sitecustomize.py", "open('executed-site', 'w')\n")
    for args in (
        ("validate", "recipe.yaml"),
        ("plan", "recipe.yaml"),
        ("plan", "recipe.yaml", "--json"),
        ("why", "recipe.yaml", "shell"),
        ("why", "recipe.yaml", "python"),
        ("graph", "recipe.yaml"),
        ("graph", "recipe.yaml", "--steps", "--mermaid"),
        ("list", "recipe.yaml"),
        ("run", "recipe.yaml", "-n"),
    ):
        result = traced(*args)
        assert result.code == 0, (args, result.stderr)
        assert not [n for n in os.listdir(traced.workspace) if n.startswith("executed")], args
    plan = traced("plan", "recipe.yaml")
    assert "fingerprint" in plan.stdout + plan.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__.__bases__[0].__subclasses__()",
        "config.__class__.__mro__",
        "''.__class__",
        "config.items.__func__.__globals__",
        "cycler.__init__.__globals__.os.popen('touch executed').read()",
        "self.__init__.__globals__",
        "lipsum.__globals__['os'].system('touch executed')",
        "namespace.__init__.__globals__",
        "joiner.__init__.__globals__.os",
        "'%s' | format(config.__class__)",
        "'{0.__class__}'.format(config)",
        "inputs.__reduce__()",
    ],
)
def test_templates_cannot_leave_their_sandbox(traced: Traced, expression: str) -> None:
    traced.recipe(
        f"steps:\n  - name: a\n    outputs: a.txt\n    run: |\n      echo ${{{{ {expression} }}}} > a.txt\n"
    )
    result = traced("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:5" in result.stderr, result
    assert not traced.exists("executed")


@pytest.mark.parametrize(
    "expression",
    ["'x' * 10**10", "range(10**9) | list | length", "[0] * 10**9", "10 ** 10 ** 8", "'a' | center(10**10)"],
)
def test_templates_are_limited_in_time_and_memory(traced: Traced, expression: str) -> None:
    traced.recipe(f"steps:\n  - name: a\n    run: |\n      echo ${{{{ {expression} }}}}\n")
    result = traced("validate", "recipe.yaml", timeout=20)
    assert result.code == 2 and "recipe.yaml:4" in result.stderr, result
    assert Path(traced.workspace, "recipe.yaml").exists()

"""File names that hold anything, any locale, commands beyond the kernel's limit."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0, command


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


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
NAMES = """\
steps:
  - name: copy
    foreach:
      name:
        glob: in/${{ name }}
    inputs: in/${{ name }}
    outputs: out/${{ name }}
    run: |
      echo x >> "$TRACE"
      cat < ${{ inputs }} > ${{ outputs }}
  - name: all
    inputs: ${{ steps.copy.outputs }}
    outputs: all.txt
    run: cat -- ${{ inputs }} > all.txt
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
    for args in (
        ("plan", "recipe.yaml", "-v"),
        ("status",),
        ("list", "recipe.yaml"),
        ("graph", "recipe.yaml"),
        ("history",),
    ):
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

    for expected in ("ran", "current"):
        done = subprocess.run(
            [*command(), "run", "recipe.yaml", "--json"],
            cwd=traced.workspace,
            env=env,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b'"status": "%s"' % expected.encode()) == 4, done.stdout
    assert traced.read("all.txt") == "1\n" * 3


ACCENTS = """\
config:
  word: ça
steps:
  - name: copy
    foreach:
      name:
        glob: in/${{ name }}
    inputs: in/${{ name }}
    outputs: out/${{ name }}
    env:
      GREETING: grüß ${{ config.word }}
    run: |
      echo x >> "$TRACE"
      printf 'é %s %s\\n' "$GREETING" ${{ config.word }} > ${{ outputs }}
  - name: python
    module: accents
    function: main
    inputs: ${{ steps.copy.outputs }}
    outputs: é.txt
    args:
      word: ${{ config.word }}
"""


@pytest.fixture(scope="module")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Latin-1 locale, made for the test."""
    where = tmp_path_factory.mktemp("locales")
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(where / "en_US.ISO-8859-1")]
    if (
        shutil.which("localedef") is None
        or subprocess.run(made, check=False, capture_output=True).returncode > 1
    ):
        pytest.skip("localedef has no sources of locales here")
    return {"LOCPATH": str(where), "LC_ALL": "en_US.ISO-8859-1"}


def test_a_recipe_means_the_same_in_every_locale(traced: Traced, latin1: dict[str, str]) -> None:
    traced.recipe(ACCENTS)
    traced.write(
        "accents.py",
        "import os\ndef main(word):\n    with open('é.txt', 'w', encoding='utf-8', errors='surrogateescape') as file:\n"
        "        print(word, *sorted(os.listdir('out')), sep='\\n', file=file)\n",
    )
    names = ["é", "漢字", os.fsdecode(b"\xe9")]
    for name in names:
        traced.write("in/" + name, "1\n")
    environments = [
        latin1,
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C.UTF-8"},
    ]
    for number, env in enumerate(environments):
        result = traced("run", "recipe.yaml", "-j1", env={"TRACE": str(traced.trace), **env})
        assert result.code == 0, result.stderr
        assert len(traced.executed()) == (0 if number else 3), env
        for name in names:
            assert traced.read("out/" + name) == "é grüß ça ça\n"
        assert traced.read("é.txt").splitlines() == ["ça", *sorted(names)]
        assert traced("why", "recipe.yaml", "é.txt", env=env).code == 0
    os.truncate(traced.workspace / "out" / "é", 0)
    assert traced.run(env=latin1).states["copy[name=é]"] == "restored"
    assert traced.read("out/é") == "é grüß ça ça\n"


def test_the_workspace_itself_may_have_an_odd_name(f0: F0) -> None:
    for name in ("a b 'c' \"d\" $e\n", os.fsdecode(b"\xff\xfe"), "ünï"):
        place = Traced(f0.workspace / name)
        place.recipe(
            "steps:\n"
            "  - name: shell\n    inputs: in.txt\n    outputs: tree/\n    depfile: x.d\n"
            "    run: 'mkdir -p tree; cp in.txt tree/; echo \"tree: found.txt\" > x.d'\n"
            "  - name: python\n    module: work\n    function: main\n    inputs: tree/\n    outputs: out.txt\n"
        )
        place.write("in.txt", "input\n")
        place.write("found.txt", "found\n")
        place.write("work.py", "def main():\n    open('out.txt', 'w').write(open('tree/in.txt').read())\n")
        place.run()
        assert place.read("out.txt") == "input\n"
        assert set(place.run().states.values()) == {"current"}
        result = f0("run", "-C", name, "recipe.yaml", "--json")
        assert result.code == 0 and set(result.states.values()) == {"current"}


def test_paths_of_a_recipe_with_quotes_and_templates(traced: Traced) -> None:
    traced.recipe(
        'config:\n  dir: it\'s "odd" $HOME\n'
        "steps:\n"
        "  - name: a\n    outputs:\n      one: ${{ config.dir }}/a b\n      many:\n        - ${{ config.dir }}/c\n        - d d\n"
        '    run: for f in ${{ outputs.one }} ${{ outputs.many }}; do echo hi > "$f"; done\n'
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
    traced.recipe(
        "steps:\n  - name: sum\n    inputs: data/*.txt\n    outputs: n\n    run: for f in ${{ inputs }}; do echo 1; done | wc -l > n\n"
    )
    traced.run()
    assert traced.read("n").strip() == str(count)

"""The hand parser and typer read the same words alike; what is wrong is refused with a remedy."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.cli import typer_app
from f0make.cli.arguments import finish, parse_fast, scan
from f0make.command_table import FLAG, VERBS
from f0make.errors import UsageError
from tests.support.examples import examples


def by_typer(argv: list[str]):
    """What typer makes of ``argv``, in the shape of `parse_fast`."""
    name, values = typer_app.parse(argv)
    return name, *finish(name, values)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    [
        "a=b",
        "4",
        "0",
        "-1",
        "-",
        "--",
        "007",
        "٤",
        "mem=2GB",
        "cpu=1.5",
        "run",
        "x.yaml",
        "-j",
        "--json",
        "local",
        "5GB",
    ]
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A verb, and words that are often its options and arguments, in any order."""
    verb = VERBS[draw(st.sampled_from(sorted(VERBS)))]
    words: list[str] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()) and verb.options:
            option = draw(st.sampled_from(verb.options))
            flag = draw(st.sampled_from(option.flags))
            value = draw(TEXTS)
            if option.kind == FLAG:
                words.append(draw(st.sampled_from([flag, f"{flag}=yes"])) if draw(st.booleans()) else flag)
            else:
                words += draw(st.sampled_from([[flag, value], [f"{flag}={value}"], [flag + value], [flag]]))
        else:
            words.append(draw(TEXTS))
    return [*verb.name.split(), *words]


@examples(400)
@given(command_lines())
def test_the_hand_parser_agrees_with_typer_whenever_it_answers(argv: list[str]) -> None:
    fast = parse_fast(argv)
    if fast is not None:
        assert fast == by_typer(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "recipe.yaml"],
        ["run", "recipe.yaml", "-j4", "--json", "-k", "--set", "a=b"],
        ["run", "--set=a=b=c", "-C", "dir", "r.yaml", "x", "y", "-j", "2", "--retries=3", "--set", "d=e"],
        ["run", "r.yaml", "--", "-odd name", "--json"],
        ["plan", "r.yaml", "--exit-code", "--json"],
        ["cache", "stats", "--cache", "d"],
        ["log", "count[book=moby]", "r.yaml"],
        ["status"],
    ],
)
def test_usual_command_lines_need_no_typer(argv: list[str]) -> None:
    fast = parse_fast(argv)
    assert fast is not None
    assert fast == by_typer(argv)


def test_what_was_given_lands_in_its_field() -> None:
    found = parse_fast(
        [
            "run",
            "r.yaml",
            "out/x",
            "-j4",
            "-k",
            "--set",
            "a.b=1",
            "--set",
            "c=2",
            "--no-cache",
            "--json",
            "-C",
            "d",
        ]
    )
    assert found is not None
    name, options, extras = found
    assert (name, extras) == ("run", {"recipe": "r.yaml", "json": True})
    assert options.targets == ["out/x"]
    assert (options.jobs, options.keep_going, options.set) == (4, True, ["a.b=1", "c=2"])
    assert (options.no_cache, options.workspace) == (True, "d")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["run"],
        ["run", "--help"],
        ["run", "r.yaml", "--jso"],
        ["run", "r.yaml", "-kn"],
        ["run", "r.yaml", "--set"],
        ["run", "r.yaml", "--json=yes"],
        ["run", "r.yaml", "-j0"],
        ["run", "r.yaml", "-j", "04"],
        ["run", "r.yaml", "--retries", "x"],
        ["run", "r.yaml", "--force", "-x"],
        ["run", ""],
        ["-C", "d", "run", "r.yaml"],
        ["runs", "r.yaml"],
        ["validate", "a", "b"],
    ],
)
def test_the_hand_parser_leaves_to_typer_what_it_is_not_sure_of(argv: list[str]) -> None:
    assert parse_fast(argv) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run r.yaml -j x", "whole number"),
        ("run r.yaml -j 0", "at least 1"),
        ("run r.yaml --retries -1", "at least 0"),
        ("run r.yaml --set a", "K=V"),
        ("run r.yaml --resource mem=much", "--resource mem=much"),
        ("run r.yaml --resource cpu=nan", "a number"),
        ("run r.yaml --resource slots=1.5", "whole number"),
        ("run r.yaml --resource slots", "NAME=N"),
        ("run r.yaml -q -v", "contradict"),
        ("run r.yaml --backend spark", "expected local, ssh, dask"),
        ("run r.yaml --cache ftp://x/", "begins with http"),
        ("run r.yaml --cache-readonly", "--cache DIR"),
        ("run r.yaml --backend ssh", "name its hosts"),
        ("run r.yaml --lease soon", "--lease soon: expected a duration"),
        ("run r.yaml --strict --audit", "contradict"),
        ("run r.yaml --strict --host a", "this machine only"),
        ("run r.yaml --max-cpu 80", "--max-cpu 80: expected a percentage"),
        ("run r.yaml --jsn", "did you mean --json"),
        ("rnu r.yaml", "Did you mean 'run'"),
        ("graph r.yaml --dot --svg", "choose one"),
        ("cache gc", "--size"),
        ("cache gc --size big", "--size big"),
        ("status a.yaml --recipe b.yaml", "two recipes"),
        ("why r.yaml", "Missing argument TARGET"),
        ("run r.yaml \0", "empty"),
        ("log \0", "empty"),
    ],
)
def test_wrong_usage_says_what_to_do(words: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        by_typer([word.strip("\0") for word in words.split()])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_limits_have_their_units() -> None:
    words = ["run", "r.yaml", "--resource", "mem=2GB", "--resource", "cpu=1.5", "--resource", "licence=3"]
    found = parse_fast(words)
    assert found is not None
    assert found[1].resource == {"mem": 2_000_000_000, "cpu": 1.5, "licence": 3}


def test_the_hand_parser_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from f0make.cli.arguments import scan\n"
        "assert scan(['run', 'r.yaml', '-j4', '--json'])\n"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('f0make')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__future__']"


def test_scan_gives_only_what_was_given() -> None:
    assert scan(["validate", "r.yaml"]) == ("validate", {"recipe": "r.yaml"})

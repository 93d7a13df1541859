"""What is read before a step runs: recipes, expressions, tables, patterns, hosts, depfiles. A clear error or none, and in time."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from f0make.backends.ssh.hosts_file import read_hosts
from f0make.code.code_digest import CodeBase
from f0make.code.params import Signature, convert_args, read_signature
from f0make.errors import F0makeError, Where
from f0make.expand.globs import Glob
from f0make.expand.tables import parse_table
from f0make.regex.bounded import Bounded, Unbounded
from f0make.regex.captures import Captures
from f0make.template.jinja_expressions import Compiled
from f0make.template.template_values import PathList, Row
from f0make.template.value_access import EvaluationError
from f0make.visible import visible, visible_block
from f0make.worker.depfile import DepfileError, parse
from tests.property.fuzz.running import fuzz
from tests.support.expand_world import World

pytestmark = pytest.mark.filterwarnings("ignore")

CPU_SECONDS = 6.0
"""What one reading may take at most: the contract's five, and a little for the measuring."""


@contextmanager
def in_time(what: object) -> Iterator[None]:
    """Fail where the block takes longer than anything may."""
    began = time.process_time()
    yield
    assert time.process_time() - began < CPU_SECONDS, what


def some(source: random.Random, words: list[str], most: int) -> str:
    """A few of ``words``, one after the other."""
    return "".join(source.choice(words) for _ in range(source.randrange(most)))


ODD = [
    "\0",
    "\x1b[31m",
    "\u202e",
    "é",
    "\ud800",
    "\udcff",
    "\U0001f600",
    "\u2028",
    "\x85",
    "\ufeff",
    "\t",
    "\r",
    "\\",
    '"',
    "'",
]

RECIPE = """\
recipe: r
config:
  a: 1
  b:
    - x
    - y
wildcards:
  n: "(?!.*_tmp$).*"
env:
  E: ${{ config.a }}
defaults:
  retries: 1
targets: t
steps:
  - name: s
    foreach:
      x:
        glob: in/${{ x }}.txt
      "u, v":
        table: t.csv
      w:
        range: 1..3
    inputs: in/${{ x }}.txt
    outputs: out/${{ x }}-${{ u }}-${{ v }}-${{ w }}
    run: echo ${{ inputs }} "${{ x }}"
  - name: p
    inputs: in/${{ n }}.txt
    outputs: p/${{ n }}.gz
    run: gzip < ${{ inputs }} > ${{ outputs }}
  - name: t
    inputs:
      - ${{ steps.s.outputs }}
      - p/a.gz
    depends_on: p
    when: ${{ config.a | int > 0 }}
    run: cat ${{ inputs }}
"""
PIECES = [
    *RECIPE.split("\n"),
    *ODD,
    "${{ ",
    " }}",
    "(a+)+$",
    "[^/]*",
    "- ",
    ": ",
    "|\n",
    ">\n",
    "!x ",
    "&a ",
    "*a",
    "{}",
    "[]",
    "? ",
    "1..10000000000",
    "-1..0",
    "../..",
    "/",
    "**",
    "config.get",
    "1e400",
    "steps.s",
    "steps.t.outputs",
    "x" * 300,
    "include: recipe.yaml\n",
    "depends_on: t\n",
    "after: t",
    "key: id\n",
]


def changed(source: random.Random, text: str, pieces: list[str]) -> str:
    """``text`` with a few places replaced, removed, doubled or added."""
    for _ in range(1 + source.randrange(4)):
        at = source.randrange(len(text) + 1)
        end = min(len(text), at + source.randrange(12)) if source.random() < 0.6 else at
        middle = source.choice(pieces) if source.random() < 0.8 else text[at : at + 40] * source.randrange(3)
        text = text[:at] + middle + text[end:]
    return text


def test_recipes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files("in/a.txt", "in/b_tmp.txt", "in/\x1b.txt")
    world.file("t.csv", "u,v\nA,1\nA,2\n")

    def once(source: random.Random) -> None:
        text = changed(source, RECIPE, PIECES)
        (tmp_path / "recipe.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        with in_time(text):
            try:
                found = world.expand_file()
            except F0makeError as error:
                assert str(error)
                return
            for problem in found.problems:
                assert problem.message

    fuzz(once)


SCOPE = {
    "config": {"a": "x" * 300_000, "b": {"c": "1"}, "l": ["b", "a"], "long": "aaaaaaaa" * 9_000 + "b"},
    "n": "7",
    "s": Row({"id": "A", "reads": "r"}),
    "inputs": PathList([f"dir/file-{n}.txt" for n in range(20_000)]),
}
VALUES = [
    "config",
    "config.a",
    "config.b",
    "config.l",
    "config.long",
    "config.get",
    "n",
    "s",
    "s.id",
    "inputs",
    "zz",
    "range(9)",
    "1e400",
    "0",
    "-1",
    "3",
]
VALUES += [
    "99999999",
    "1.5",
    "''",
    "'a'",
    "'%s%d%99999s'",
    "'{0.__class__}'",
    "[1,'a']",
    "(1,)",
    "{'a':1}",
    "none",
    "true",
    "range",
    "dict",
    "'\\ud800'",
    "''.join",
]
FILTERS = [
    "upper",
    "list",
    "sort",
    "sort(attribute='x')",
    "join",
    "join('--')",
    "map('upper')",
    "map('int')",
    "replace('a','bbbbb')",
    "title",
    "int",
    "float",
]
FILTERS += [
    "length",
    "string",
    "tojson",
    "urlencode",
    "quote",
    "raw",
    "batch(2)",
    "groupby(0)",
    "unique",
    "reverse",
    "format(1)",
    "center(99999)",
    "indent(9)",
    "sum",
]
FILTERS += [
    "default('x')",
    "truncate(3)",
    "wordcount",
    "dictsort",
    "items",
    "first",
    "last",
    "random",
    "pprint",
    "trim('a')",
    "round",
    "min",
    "max",
    "slice(3)",
    "abs",
]
METHODS = [
    "rfind('ba')",
    "rsplit('aab')",
    "split('a')",
    "split()",
    "splitlines()",
    "replace('','x')",
    "format(config)",
    "zfill(9999)",
    "join(inputs)",
    "get('a')",
]
METHODS += [
    "items()",
    "count('a')",
    "expandtabs(9999)",
    "__class__",
    "mro()",
    "partition('a')",
    "strip('ab')",
    "format_map(config)",
    "encode()",
    "append(1)",
]
SIGNS = [
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "<",
    " in ",
    " not in ",
    " and ",
    " or ",
    " is ",
    " if ",
]


def expression(source: random.Random, depth: int = 4) -> str:
    """An expression, mostly one that can be read."""
    kind = source.random()
    if depth == 0 or kind < 0.25:
        return source.choice(VALUES)
    inner = expression(source, depth - 1)
    if kind < 0.45:
        return f"({inner}|{source.choice(FILTERS)})"
    if kind < 0.6:
        return f"({inner}).{source.choice(METHODS)}"
    if kind < 0.9:
        return f"({inner}){source.choice(SIGNS)}({expression(source, depth - 1)})"
    if kind < 0.95:
        return f"({inner})[{source.choice(['0', '::2', '-1:', ':9', 'n', '1e9', '::0', repr('a')])}]"
    return some(source, [inner, *SIGNS, *ODD, "(", ")", "[", "]", "|"], 6)


def test_expressions() -> None:
    def once(source: random.Random) -> None:
        text = expression(source)
        with in_time(text):
            try:
                Compiled(text)(SCOPE)
            except EvaluationError as error:
                assert error.message

    fuzz(once)


def test_tables() -> None:
    cells = [*ODD, ",", ",", "\n", "\n", "\r\n", "#", ";", "a", "b", "id", " ", '""', '"a,\n"', "x" * 140_000]

    def once(source: random.Random) -> None:
        text = some(source, cells, 40)
        key = source.choice([(), ("id",), ("a", "b")])
        with in_time(text):
            rows, problems = parse_table(
                text, "t.csv", source.choice(",\t"), key, source.choice([(), ("a", "b")])
            )
        assert rows or problems or text.strip()

    fuzz(once)


def test_patterns() -> None:
    pieces = [
        "a",
        "b",
        ".",
        "*",
        "+",
        "?",
        "(",
        ")",
        "(a+)+",
        "(?=",
        "(?<!",
        "(?i)",
        "[^/]",
        "[a-",
        "]",
        "|",
        "$",
        "^",
        "\\1",
        "\\b",
        "{2,}",
        "{99}",
        "(?P<n>",
        "\\d",
        "/",
    ]
    globs = ["a", "b", "*", "**", "?", "[a-c]", "[!x]", "[", "]", "/", "\0n\0", "\0m\0", ".", "-", "{", "\n"]

    def once(source: random.Random) -> None:
        text = "".join(source.choice("aaab/.") for _ in range(source.randrange(200)))
        wildcards = {"n": some(source, pieces, 8) or "a", "m": some(source, pieces, 5) or ".+"}
        glob = some(source, globs, 12) or "a"
        with in_time((wildcards, glob, text)):
            for use in (
                lambda: Bounded(wildcards["n"], re.DOTALL).fullmatch(text),
                lambda: Captures(["", "/", ""], ["n", "m"], wildcards).match(text),
                lambda: Glob(glob, wildcards).match(text),
            ):
                try:
                    use()
                except (re.error, Unbounded) as error:
                    assert str(error)

    fuzz(once)


HOSTS = "hosts:\n  - name: a\n    address: 10.0.0.1\n    port: 22\n    slots: 2\n    labels:\n      - gpu\n    env:\n      A: b\n"


def test_hosts_files(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"

    def once(source: random.Random) -> None:
        text = changed(
            source,
            HOSTS,
            [*HOSTS.split("\n"), *ODD, "99999999999999999999", "-1", "here", "local", "{}", "- "],
        )
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with in_time(text):
            try:
                read_hosts(str(path))
            except F0makeError as error:
                assert str(error)

    fuzz(once, 1.0)


def test_depfiles() -> None:
    pieces = ["a.o", ":", " ", "\\\n", "\\", "$$", "$", "#", "\n", "\r\n", "C:/x", "\\ ", *ODD]

    def once(source: random.Random) -> None:
        text = some(source, pieces, 30)
        with in_time(text):
            try:
                parse(text)
            except DepfileError as error:
                assert str(error)

    fuzz(once, 1.0)


def test_annotations(tmp_path: Path) -> None:
    pieces = [
        "int",
        "str",
        "list",
        "[",
        "]",
        ", ",
        "|",
        "None",
        "'int'",
        "t.",
        "Optional",
        "Literal",
        "Colour",
        "Count",
        "...",
        "3",
        "(",
        ")",
        "dict",
        "date",
        "Path",
    ]
    head = "import typing as t\nfrom typing import *\nfrom enum import Enum\nfrom datetime import date\nfrom pathlib import Path\n"
    head += "Count = 'Other'\nOther = Count | int\nclass Colour(Enum):\n    A = 'x'\n    B = 2\n"
    values = ["1", "x", "", ["1"], {"a": "1"}, "null", "2026-01-31", "1e999", "9" * 5_000]

    def once(source: random.Random) -> None:
        text = some(source, pieces, 8) or "int"
        (tmp_path / "m.py").write_text(f"{head}\ndef f(x: {text}): pass\n")
        base = CodeBase(str(tmp_path), [str(tmp_path)], {})
        found = read_signature(base, "m", "f")
        if isinstance(found, Signature):
            _, problems = convert_args(found, {"x": source.choice(values)}, lambda key: Where("r", 1))
            assert all(problem.message for problem in problems)

    fuzz(once, 1.0)


def test_nothing_hides_in_what_is_shown() -> None:
    def once(source: random.Random) -> None:
        text = "".join(
            chr(source.randrange(0x110000)) if source.random() < 0.3 else source.choice([*ODD, "a", "\n"])
            for _ in range(20)
        )
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", visible(text))
        assert not re.search(
            "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", visible_block(text)
        )
        assert visible_block(text).count("\n") == text.count("\n")

    fuzz(once, 0.5)

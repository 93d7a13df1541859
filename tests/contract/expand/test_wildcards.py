"""Expressions under `wildcards` and globs: each variable's text by itself as a whole, and in bounded time."""

from __future__ import annotations

import time

import pytest

from tests.support.f0 import F0


def recipe(expression: str, output: str) -> str:
    """A pattern step for ``output``, whose variable `n` matches ``expression``."""
    return f"""
wildcards:
  n: '{expression.replace("'", "''")}'
steps:
  - name: make
    outputs: {output}
    run: echo > ${{{{ outputs }}}}
"""


@pytest.mark.parametrize(
    ("expression", "output", "yes", "no"),
    [
        (r"(?!.*_tmp$).*", "out/${{ n }}.txt", "out/a.txt", "out/a_tmp.txt"),
        (r"^[a-z]+$", "out/x${{ n }}y.txt", "out/xaby.txt", "out/x1y.txt"),
        (r"(?i)moby|emma", "out/${{ n }}.TXT", "out/MOBY.TXT", "out/moby.txt"),
        (r"(.)\1", "a${{ n }}", "abb", "aab"),
        (r"(?<!a)b.*", "a${{ n }}", "abc", "acb"),
        (r"\bb.*", "a${{ n }}", "abc", "acb"),
        (r"(?<=/)x|x", "d/${{ n }}", "d/x", "d/y"),
        (r"[a-z]+(?!.)", "${{ n }}.txt", "ab.txt", "1.txt"),
        (r"(?x) a b  # a comment", "${{ n }}.txt", "ab.txt", "a b.txt"),
        (r"(a|ab)(c|bcd)?", "${{ n }}-${{ n }}", "abcd-abcd", "abcd-abc"),
    ],
)
def test_an_expression_sees_its_variable_and_nothing_else(
    f0: F0, expression: str, output: str, yes: str, no: str
) -> None:
    f0.write("r.yaml", recipe(expression, output))
    found = f0("plan", "r.yaml", yes)
    assert found.code == 0 and "make[" in found.stdout, found
    refused = f0("plan", "r.yaml", no)
    assert refused.code == 2 and "no file that a step makes" in refused.stderr, refused


def test_foreach_globs_match_each_variable_by_itself(f0: F0) -> None:
    for name in ("a_tmp", "a", "b", "tmp_b"):
        f0.write(f"in/{name}.txt", "")
    f0.write(
        "r.yaml",
        """
wildcards:
  n: '(?!.*_tmp$)[a-z_]+$'
steps:
  - name: count
    foreach:
      n:
        glob: in/${{ n }}.txt
    run: 'true'
""",
    )
    listed = f0("plan", "r.yaml", "--json")
    assert sorted(listed.states) == ["count[n=a]", "count[n=b]", "count[n=tmp_b]"]


@pytest.mark.parametrize(
    "expression", ["(a+)+$", "(a|aa)+", "(.*)*x", "([a-z]*)*[0-9]", "(?:(?:a?){30}){30}"]
)
def test_no_expression_takes_for_ever(f0: F0, expression: str) -> None:
    f0.write("r.yaml", recipe(expression, "out/${{ n }}.txt") + "    inputs: in/*\n")
    f0.write("in/" + "a" * 200, "")
    began = time.monotonic()
    assert f0("validate", "r.yaml").code == 0
    found = f0("plan", "r.yaml", "out/" + "a" * 150 + "!.txt")
    assert found.code == 2 and "no file that a step makes" in found.stderr
    assert time.monotonic() - began < 20, "this takes for ever, not only long"


def test_what_cannot_be_found_out_in_time_is_an_error_with_its_place(f0: F0) -> None:
    f0.write("r.yaml", recipe(r"(a*)*\1b", "out/${{ n }}.txt"))
    found = f0("plan", "r.yaml", "out/" + "a" * 150 + "!.txt")
    assert found.code == 2
    assert "r.yaml:3:6: wildcards.n:" in found.stderr and "takes too long" in found.stderr, found.stderr


def test_a_glob_of_many_stars_is_quick(f0: F0) -> None:
    for n in range(20):
        f0.write("d/" + "a" * 240 + str(n), "")
    f0.write("d/" + "a" * 100 + "b", "")
    f0.write("r.yaml", f"steps:\n  - name: s\n    inputs: d/{'*a' * 30}*b\n    run: cat ${{{{ inputs }}}}\n")
    found = f0("plan", "r.yaml")
    assert found.code == 0, found.stderr


@pytest.mark.parametrize(
    "expression", ["(", "a{9999999999999}", "(" * 500 + ")" * 500, "(?i)[\\x00-\\U0010ffff]", "x" * 30_000]
)
def test_what_is_no_expression_is_an_error_with_its_line(f0: F0, expression: str) -> None:
    f0.write("r.yaml", recipe(expression, "out/${{ n }}.txt"))
    found = f0("validate", "r.yaml")
    assert found.code == 2
    assert found.stderr.startswith("r.yaml:3:6: wildcards.n:"), found.stderr

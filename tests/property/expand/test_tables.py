"""Tables: rows by their first column, every fault at its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.expand.tables import parse_table
from tests.support.expand_world import World, names

RECIPE = """
steps:
  - name: map
    foreach:
      sample:
        table: samples.TYPE
    outputs: out/${{ sample }}.bam
    run: bwa ${{ sample.reads }} ${{ sample['lib type'] }} ${{ sample | upper }} ${{ sample }}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(("kind", "between"), [("tsv", "\t"), ("csv", ","), ("TSV", "\t")])
def test_rows(world: World, kind: str, between: str) -> None:
    rows = [["id", "reads", "lib type"], ["A", "a b.fq", "x"], ["b", "", "y"]]
    text = "\ufeff" + "\r\n".join(between.join(row) for row in rows) + "\r\n\r\n"
    world.file(f"samples.{kind}", text)
    found = world.good(RECIPE.replace("TYPE", kind))
    assert names(found) == ["map[sample=A]", "map[sample=b]"]
    assert [i.command for i in found.instances] == ["bwa 'a b.fq' x A A", "bwa '' y B b"]
    assert found.instances[0].variables == {"sample": {"id": "A", "reads": "a b.fq", "lib type": "x"}}
    assert found.read_files == {f"samples.{kind}"}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("id,reads\nA,1\nB\nC,1,2\n", [(3, "has 1 cells"), (4, "has 3 cells")]),
        ("id,reads\nA,1\nA,2\n", [(3, "already in line 2")]),
        ("id,id\nA,1\n", [(1, "two columns are called 'id'")]),
        ("id,\nA,1\n", [(2, "has 2 cells")]),
        ("id,,x\nA,1,2\n", [(1, "column 2 has no name")]),
        ("id,reads\n,1\n", [(2, "is empty")]),
        ("", [(1, "the table is empty")]),
        ('id,reads\nA,"multi\nline"\nB\n', [(4, "has 1 cells")]),
        ('id,reads\nA,"open\n', [(2, "not a table")]),
    ],
)
def test_faults_have_their_line(world: World, text: str, faults: list[tuple[int, str]]) -> None:
    world.file("samples.csv", text)
    problems = world.bad(RECIPE.replace("TYPE", "csv"))
    assert [p.where.line for p in problems if p.where] == [line for line, _ in faults]
    for problem, (_, message) in zip(problems, faults, strict=True):
        assert message in problem.message and problem.where and problem.where.file == "samples.csv"


def test_tables_that_cannot_be_read(world: World) -> None:
    assert "does not exist" in world.bad(RECIPE.replace("TYPE", "csv"))[0].message
    (world.root / "samples.csv").write_bytes(b"id\n\xff\n")
    assert "not UTF-8" in world.bad(RECIPE.replace("TYPE", "csv"))[0].message
    assert "no table by its name" in world.bad(RECIPE.replace("TYPE", "xls"))[0].message
    (world.root / "samples.tsv").mkdir()
    problem = world.bad(RECIPE.replace("TYPE", "tsv"))[0]
    assert "is a directory" in problem.message and str(problem.where) == "recipe.yaml:5:16"


def test_a_table_without_rows_gives_no_instance(world: World) -> None:
    world.file("samples.csv", "id,reads,lib type\n")
    found = world.good(RECIPE.replace("TYPE", "csv"))
    assert found.instances == [] and "gives nothing" in found.warnings[0]


def test_a_wrong_column_is_named(world: World) -> None:
    world.file("samples.csv", "id,read,lib type\nA,1,2\n")
    (problem,) = world.bad(RECIPE.replace("TYPE", "csv"))
    assert "`reads` is not defined" in problem.message and "`read`" in problem.hint


cell = st.text(alphabet="ab,\"'\t\n é", max_size=4)


@given(st.lists(st.tuples(cell, cell), max_size=5), st.sampled_from([",", "\t"]))
def test_what_was_written_is_read(cells: list[tuple[str, str]], delimiter: str) -> None:
    rows = {f"k{number}": row for number, row in enumerate(cells)}
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "x", "y"])
    writer.writerows([key, *row] for key, row in rows.items())
    found, problems = parse_table(out.getvalue(), "t", delimiter)
    assert problems == []
    assert {row["id"]: (row["x"], row["y"]) for row in found} == rows
    assert [str(row) for row in found] == list(rows)

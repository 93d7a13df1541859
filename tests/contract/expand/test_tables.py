"""Tables as people's spreadsheets and colleagues write them."""

from __future__ import annotations

import pytest

from tests.support.f0 import F0

RECIPE = """
steps:
  - name: map
    foreach:
      u:
        table: t.csv
        key:
          - sample
          - unit
    run: echo ${{ u }} ${{ u.fq }}
"""
ONE = "\nsteps:\n  - name: map\n    foreach:\n      s:\n        table: TABLE\n    run: echo ${{ s }} ${{ s.x }}\n"


def planned(f0: F0) -> list[str]:
    """Names of the instances."""
    result = f0("plan", "r.yaml", "--json")
    assert result.code == 0, result.stderr
    return list(result.states)


def test_several_rows_of_one_sample_go_by_several_columns(f0: F0) -> None:
    f0.write("r.yaml", RECIPE)
    f0.write("t.csv", "sample,unit,fq\nA,1,a1\nA,2,a2\nB,1,b1\n")
    assert planned(f0) == ["map[u=A:1]", "map[u=A:2]", "map[u=B:1]"]
    assert f0("run", "r.yaml", "map[u=A:2]").code == 0
    assert f0("log", "map[u=A:2]").stdout == "A:2 a2\n"
    f0.write("t.csv", "sample,unit,fq\nA,1,a1\nA,1,a2\n")
    result = f0("validate", "r.yaml")
    assert result.code == 2 and result.stderr.startswith("t.csv:3: "), result.stderr
    f0.write("t.csv", "sample,units,fq\nA,1,a1\n")
    assert "there is no column 'unit' (did you mean 'units'?)" in f0("validate", "r.yaml").stderr


def test_variables_are_bound_to_the_columns_of_their_names(f0: F0) -> None:
    f0.write("t.tsv", "fq\tread\tid\nx\t1\tA\ny\t2\tA\n")
    f0.write(
        "r.yaml",
        'steps:\n  - name: m\n    foreach:\n      "id, read":\n        table: t.tsv\n    run: echo ${{ id }}\n',
    )
    assert planned(f0) == ["m[id=A,read=1]", "m[id=A,read=2]"]


@pytest.mark.parametrize(
    "text",
    [
        "s,x\nA,1\nB,2\n,\n,\n",  # Excel's empty rows
        "s,x,,\nA,1,,\nB,2,,\n,,,\n",  # and columns
        "# a comment\ns,x\n# another, with a comma\nA,1\n#\nB,2\n",
        "s , x\t\nA , 1  \n  B,2\n",  # blanks
        "\ufeffs,x\r\nA,1\r\nB,2\r\n",
        "s,x\rA,1\rB,2",
        '"s","x"\n"A","1"\n"B","2"\n',
        's,x\nA,"1"\nB,2\n"",""\n',
    ],
)
def test_what_spreadsheets_leave_counts_for_nothing(f0: F0, text: str) -> None:
    f0.write("r.yaml", ONE.replace("TABLE", "t.csv"))
    (f0.workspace / "t.csv").write_bytes(text.encode())
    assert planned(f0) == ["map[s=A]", "map[s=B]"]


def test_blanks_and_signs_in_quotes_stay(f0: F0) -> None:
    f0.write("r.yaml", ONE.replace("TABLE", "t.csv"))
    f0.write("t.csv", 's,x\n"# A ",1\n"B\n# no comment",2\n')
    assert planned(f0) == ["map[s=# A ]", "map[s=B\\n# no comment]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s;x\nA;1\n", "columns are separated by commas here, not by semicolons"),
        ("s,x\nA\n", "t.csv:2: "),
        ("s,x\nA,1,2\n", "t.csv:2: "),
        ("# nothing but a comment\n", "the table is empty"),
        ("s,x\nA,1\nA,2\n", "`key:` may list several columns"),
        (",".join(f"c{n}" for n in range(20_000)), "columns at most"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(f0: F0, text: str, message: str) -> None:
    f0.write("r.yaml", ONE.replace("TABLE", "t.csv"))
    f0.write("t.csv", text)
    result = f0("validate", "r.yaml")
    assert result.code == 2 and message in result.stderr, result.stderr

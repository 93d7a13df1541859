"""Many instances from one step: every kind of foreach, graphs that grow, pattern steps."""

from __future__ import annotations

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


def instances(f0: F0, *args: str) -> list[str]:
    """Names of what a run would look at, in the order of the plan."""
    result = f0("plan", "recipe.yaml", "--json", *args)
    assert result.code == 0, result.stderr
    return [e["step"] for e in result.events if e["event"] == "step"]


def refused(f0: F0, *parts: str) -> str:
    result = f0("validate", "recipe.yaml")
    assert result.code == 2, result
    for part in parts:
        assert part in result.stderr, (part, result.stderr)
    return result.stderr


def step(foreach: str, run: str = "'true'", more: str = "") -> str:
    body = "".join(f"      {line}\n" for line in foreach.splitlines())
    return f"steps:\n  - name: s\n    foreach:\n{body}{more}    run: {run}\n"


def test_lists_and_products(f0: F0) -> None:
    f0.recipe(step("book:\n  - moby\n  - emma\nlang:\n  - en\n  - de"))
    assert instances(f0) == [
        "s[book=moby,lang=en]",
        "s[book=moby,lang=de]",
        "s[book=emma,lang=en]",
        "s[book=emma,lang=de]",
    ]
    f0.recipe(step("book:\n  - moby\n  - emma\nlang:\n  - en\n  - de", more="    combine: zip\n"))
    assert instances(f0) == ["s[book=moby,lang=en]", "s[book=emma,lang=de]"]
    f0.recipe(step("book:\n  - moby\n  - emma\nlang:\n  - en", more="    combine: zip\n"))
    refused(f0, "recipe.yaml:", "zip")


def test_ranges_include_both_ends_and_are_text(f0: F0) -> None:
    f0.recipe(step("n:\n  range: 8..11", "echo ${{ n | int - 1 }} ${{ n + '!' }} >> o-${{ n }}"))
    f0.run()
    assert [f0.read(f"o-{n}") for n in (8, 9, 10, 11)] == ["7 8!\n", "8 9!\n", "9 10!\n", "10 11!\n"]
    assert instances(f0) == ["s[n=8]", "s[n=9]", "s[n=10]", "s[n=11]"]
    f0.recipe(step("n:\n  range: one..three"))
    refused(f0, "recipe.yaml:5")


def test_several_variables_bound_together(f0: F0) -> None:
    f0.recipe(step('"a, b":\n  - x, 1\n  - y, 2\nc:\n  - z', "echo ${{ a }}-${{ b }} >> out"))
    assert instances(f0) == ["s[a=x,b=1,c=z]", "s[a=y,b=2,c=z]"]


def test_globs_bind_what_is_there_sorted(f0: F0) -> None:
    for name in ("b_2", "a_1", "b_1", "c"):
        f0.write(f"reads/{name}.fq.gz", "")
    f0.write("reads/deep/d_1.fq.gz", "")
    f0.recipe(step('"id, read":\n  glob: reads/${{ id }}_${{ read }}.fq.gz'))
    assert instances(f0) == ["s[id=a,read=1]", "s[id=b,read=1]", "s[id=b,read=2]"]
    f0.recipe(step("lang:\n  glob: reads/*/${{ lang }}_*.fq.gz"))
    assert instances(f0) == ["s[lang=d]"]
    f0.recipe(step("name:\n  glob: reads/${{ name }}.fq.gz"))
    assert instances(f0) == ["s[name=a_1]", "s[name=b_1]", "s[name=b_2]", "s[name=c]"]
    f0.recipe("wildcards:\n  name: '[a-b]_\\d'\n" + step("name:\n  glob: reads/${{ name }}.fq.gz"))
    assert instances(f0) == ["s[name=a_1]", "s[name=b_1]", "s[name=b_2]"]
    f0.recipe("config:\n  dir: reads\n" + step("name:\n  glob: ${{ config.dir }}/${{ name }}_1.fq.gz"))
    assert instances(f0) == ["s[name=a]", "s[name=b]"]


def test_globs_see_what_other_steps_will_make(traced: Traced) -> None:
    traced.write("texts/on disk.txt", "disk\n")
    traced.recipe(
        "steps:\n"
        "  - name: use\n    foreach:\n      t:\n        glob: texts/${{ t }}.txt\n"
        "    inputs: texts/${{ t }}.txt\n    outputs: out/${{ t }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: all\n    inputs: out/*\n    outputs: all\n    run: cat ${{ inputs }} > all\n"
        "  - name: make\n    foreach:\n      n:\n        - x\n        - y\n"
        "    outputs: texts/${{ n }}.txt\n    run: echo ${{ n }} > ${{ outputs }}\n"
    )
    states = traced.run("-j2").states
    assert set(states) == {"make[n=x]", "make[n=y]", "use[t=on disk]", "use[t=x]", "use[t=y]", "all"}
    assert traced.read("all") == "disk\nx\ny\n"
    # What a step does not make any more is no file of the user's that the glob would find.
    traced.edit("recipe.yaml", "        - y\n", "")
    assert set(traced.run("-j2").states) == {"make[n=x]", "use[t=on disk]", "use[t=x]", "all"}
    assert traced.read("all") == "disk\nx\n"


def test_tables(traced: Traced) -> None:
    traced.write("samples.tsv", "sample\treads\tnote\nA\ta.fq\tit's\nB\tb.fq\t\n")
    traced.recipe(
        "steps:\n  - name: map\n    foreach:\n      sample:\n        table: samples.tsv\n"
        "    outputs: ${{ sample.sample }}.txt\n"
        f"    run: |\n      {TRACE}\n      echo ${{{{ sample.reads }}}} ${{{{ sample.note }}}} > ${{{{ outputs }}}}\n"
    )
    assert set(traced.run().states) == {"map[sample=A]", "map[sample=B]"}
    assert traced.read("A.txt") == "a.fq it's\n"
    traced.executed()
    # A column that is used changes what uses it; a new row runs alone; an unused column changes nothing.
    traced.write(
        "samples.tsv", "sample\treads\tnote\textra\nA\ta.fq\tit's\t1\nB\tb2.fq\t\t2\nC\tc.fq\tx\t3\n"
    )
    assert traced.run().states == {"map[sample=A]": "current", "map[sample=B]": "ran", "map[sample=C]": "ran"}
    assert traced.executed() == ["map[sample=B]", "map[sample=C]"]
    traced.write("samples.csv", '\ufeffid,reads\r\n"x, 1","say ""hi"""\r\ny,z\r\n')
    traced.recipe(
        step("row:\n  table: samples.csv", "echo ${{ row.id }} ${{ row.reads }} > o-${{ row.id | length }}")
    )
    traced.run()
    assert traced.read("o-4") == 'x, 1 say "hi"\n'


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("sample\treads\nA\n", ["samples.tsv", "2"]),
        ("sample\treads\nA\tb\tc\n", ["samples.tsv", "2"]),
        ("sample\treads\nA\tb\nA\tc\n", ["samples.tsv", "A"]),
        ("", ["samples.tsv"]),
        ("sample\tsample\nA\tb\n", ["samples.tsv", "sample"]),
        (None, ["samples.tsv"]),
    ],
)
def test_tables_that_are_wrong(f0: F0, table: str | None, parts: list[str]) -> None:
    if table is not None:
        f0.write("samples.tsv", table)
    f0.recipe(step("sample:\n  table: samples.tsv"))
    refused(f0, *parts)


def test_an_unknown_column_is_an_error_at_its_line(f0: F0) -> None:
    f0.write("samples.tsv", "sample\treads\nA\tb\n")
    f0.recipe(step("sample:\n  table: samples.tsv", "echo ${{ sample.raeds }}"))
    refused(f0, "recipe.yaml:6", "reads")


GROW = f"""\
steps:
  - name: split
    inputs: n.txt
    outputs: parts/
    run: |
      {TRACE}
      mkdir -p parts; for i in $(seq $(cat n.txt)); do echo $i > parts/$i.txt; done
  - name: each
    foreach:
      part:
        glob: parts/${{{{ part }}}}.txt
        after: split
    inputs: parts/${{{{ part }}}}.txt
    outputs: out/${{{{ part }}}}
    run: |
      {TRACE}
      cp ${{{{ inputs }}}} ${{{{ outputs }}}}
  - name: all
    inputs: ${{{{ steps.each.outputs }}}}
    outputs: all
    run: |
      {TRACE}
      cat /dev/null ${{{{ inputs }}}} > all
"""


def test_the_graph_grows_after_a_step(traced: Traced) -> None:
    traced.recipe(GROW)
    traced.write("n.txt", "3")
    result = traced.run("-j2")
    names = ["split", "each[part=1]", "each[part=2]", "each[part=3]", "all"]
    assert set(result.states) == set(names) and set(result.states.values()) == {"ran"}
    assert result.summary["ran"] == 5 and traced.read("all") == "1\n2\n3\n"
    assert set(traced.run("-j2").states.values()) == {"current"}
    assert traced("plan", "recipe.yaml", "--exit-code").code == 0
    traced.executed()
    # More parts, then fewer, then as before.
    traced.write("n.txt", "4")
    assert traced.run("-j2").states["each[part=4]"] == "ran"
    assert traced.executed() == ["all", "each[part=4]", "split"] and traced.read("all") == "1\n2\n3\n4\n"
    traced.write("n.txt", "2")
    assert set(traced.run("-j2").states) == {"split", "each[part=1]", "each[part=2]", "all"}
    assert traced.read("all") == "1\n2\n"
    traced.executed()
    traced.write("n.txt", "4")
    assert set(traced.run("-j2").states.values()) <= {"restored", "current"} and traced.executed() == []
    assert traced.read("all") == "1\n2\n3\n4\n"
    traced.write("n.txt", "0")
    assert set(traced.run("-j2").states) == {"split", "all"} and traced.read("all") == ""


def test_targets_in_a_graph_that_grows(traced: Traced) -> None:
    traced.recipe(GROW)
    traced.write("n.txt", "3")
    assert set(traced.run("out/2").states) == {"split", "each[part=2]"}
    assert set(traced.run("each[part=1]").states) >= {"split", "each[part=1]"}
    assert (
        set(traced.run("all").states) >= {"split", "each[part=3]", "all"}
        and traced.read("all") == "1\n2\n3\n"
    )
    assert traced("run", "recipe.yaml", "out/9").code == 2
    traced.edit("recipe.yaml", "mkdir -p parts", "exit 3; mkdir -p parts")
    result = traced.run(code=1)
    assert result.states["split"] == "failed" and set(result.states.values()) <= {"failed", "cancelled"}


def test_growing_twice(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: one\n    outputs: a/\n    run: mkdir -p a; touch a/x a/y\n"
        "  - name: two\n    foreach:\n      f:\n        glob: a/${{ f }}\n        after: one\n"
        "    inputs: a/${{ f }}\n    outputs: b/${{ f }}/\n    run: mkdir -p b/${{ f }}; touch b/${{ f }}/1 b/${{ f }}/2\n"
        '  - name: three\n    foreach:\n      "f, n":\n        glob: b/${{ f }}/${{ n }}\n        after: two\n'
        "    inputs: b/${{ f }}/${{ n }}\n    outputs: c/${{ f }}${{ n }}\n    run: echo ${{ f }}${{ n }} > ${{ outputs }}\n"
        "  - name: all\n    inputs: ${{ steps.three.outputs }}\n    outputs: all\n    run: cat ${{ inputs }} > all\n"
    )
    traced.run("-j2")
    assert traced.read("all") == "x1\nx2\ny1\ny2\n"
    again = traced.run("-j2")
    assert set(again.states.values()) == {"current"} and len(again.states) == 8


PATTERN = """\
steps:
  - name: compile
    inputs: src/${{ stem }}.c
    outputs: obj/${{ stem }}.o
    run: |
      cp ${{ inputs }} ${{ outputs }}
  - name: link
    inputs:
      - obj/main.o
      - obj/deep/util.o
    outputs: program
    run: cat ${{ inputs }} > program
wildcards:
  stem: .+
"""


def test_pattern_steps(traced: Traced) -> None:
    for name in ("main", "deep/util", "unused"):
        traced.write(f"src/{name}.c", name + "\n")
    traced.recipe(PATTERN)
    assert set(traced.run().states) == {"compile[stem=main]", "compile[stem=deep/util]", "link"}
    assert traced.read("program") == "main\ndeep/util\n"
    assert traced.run("obj/unused.o").states == {"compile[stem=unused]": "ran"}
    # By default a variable does not reach across a slash.
    traced.edit("recipe.yaml", "wildcards:\n  stem: .+\n", "")
    traced.remove("obj")
    result = traced("run", "recipe.yaml")
    assert result.code == 2 and "obj/deep/util.o" in result.stderr
    assert traced("run", "recipe.yaml", "obj/nowhere.o").code == 2


def test_chains_of_pattern_steps(traced: Traced) -> None:
    traced.write("a.x", "a\n")
    traced.recipe(
        "steps:\n"
        "  - name: xy\n    inputs: ${{ s }}.x\n    outputs: ${{ s }}.y\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: yz\n    inputs: ${{ s }}.y\n    outputs:\n      - ${{ s }}.z\n      - ${{ s }}.log\n"
        "    run: cp ${{ inputs }} ${{ outputs[0] }}; touch ${{ outputs[1] }}\n"
    )
    assert traced.run("a.z").states == {"xy[s=a]": "ran", "yz[s=a]": "ran"}
    assert set(traced.run("a.z", "a.log").states.values()) == {"current"}
    assert traced.run().summary["ran"] == 0  # No targets: a pattern step is not built by itself.


def test_two_patterns_for_one_file(traced: Traced) -> None:
    traced.write("a.x", "x\n")
    traced.write("a.y", "y\n")
    recipe = (
        "steps:\n"
        "  - name: fromx\n    inputs: ${{ s }}.x\n    outputs: ${{ s }}.out\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: fromy\n    inputs: ${{ s }}.y\n    outputs: ${{ s }}.out\n    run: cp ${{ inputs }} ${{ outputs }}\n"
    )
    traced.recipe(recipe)
    result = traced("run", "recipe.yaml", "a.out")
    assert (
        result.code == 2
        and "fromx" in result.stderr
        and "fromy" in result.stderr
        and "a.out" in result.stderr
    )
    traced.recipe(recipe.replace("  - name: fromy\n", "  - name: fromy\n    priority: 1\n"))
    assert traced.run("a.out").states == {"fromy[s=a]": "ran"} and traced.read("a.out") == "y\n"


def test_a_step_that_makes_a_file_itself_wins_over_patterns(traced: Traced) -> None:
    traced.write("a.x", "x\n")
    traced.recipe(
        "steps:\n"
        "  - name: pattern\n    inputs: ${{ s }}.x\n    outputs: ${{ s }}.out\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: explicit\n    outputs: a.out\n    run: echo explicit > a.out\n"
    )
    assert traced.run("a.out").states == {"explicit": "ran"} and traced.read("a.out") == "explicit\n"


def test_values_with_odd_characters_are_named_and_found(traced: Traced) -> None:
    values = ["a b", "it's", "x/y", "k=v", "a,b", "[z]", "ünï"]
    listed = "".join(f'  - "{v}"\n' for v in values)
    traced.recipe(
        step(
            "v:\n" + listed.rstrip(), "echo ${{ v }} > ${{ outputs }}", "    outputs: o/${{ loop }}\n"
        ).replace("o/${{ loop }}", "o/${{ v | replace('/', '_') }}")
    )
    names = list(traced.run().states)
    assert len(set(names)) == len(values)
    for name in names:
        assert traced.run(name).states == {name: "current"}
        assert traced("why", "recipe.yaml", name).code == 0


def test_nothing_to_iterate_over(traced: Traced) -> None:
    traced.recipe(
        step("t:\n  glob: none/${{ t }}.txt\n  optional: yes", more="    outputs: o/${{ t }}\n")
        + "  - name: all\n    inputs: ${{ steps.s.outputs }}\n    outputs: all\n    run: echo ${{ inputs | length }} > all\n"
    )
    assert traced.run().states == {"all": "ran"} and traced.read("all") == "0\n"


def test_many_instances(traced: Traced) -> None:
    traced.recipe(
        step(
            "n:\n  range: 1..2000",
            "touch ${{ outputs }}",
            "    when: ${{ n | int > 1990 }}\n    outputs: o/${{ n }}\n",
        )
    )
    result = traced.run("-j2")
    assert result.summary["ran"] == 10 and result.summary["skipped"] == 1990

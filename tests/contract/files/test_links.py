"""Links among the inputs, in globs, in input directories, as outputs: by content, watched, in order."""

from __future__ import annotations

import os

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0

GLOBBED = """\
steps:
  - name: all
    inputs: data/*.fq
    outputs: all.txt
    run: cat ${{ inputs }} > all.txt
  - name: each
    foreach:
      s:
        glob: data/${{ s }}.fq
    inputs: data/${{ s }}.fq
    outputs: out/${{ s }}
    run: cp ${{ inputs }} ${{ outputs }}
"""


def link(f0: F0, path: str, text: str) -> None:
    """Put a link at ``path``, in the place of one that is there."""
    full = f0.workspace / path
    full.parent.mkdir(parents=True, exist_ok=True)
    full.unlink(missing_ok=True)
    full.symlink_to(text)


def nothing(f0: F0, *targets: str) -> bool:
    """Whether a run finds everything current."""
    return set(f0.run(*targets).states.values()) == {"current"}


@pytest.mark.parametrize("targets", [(), ("all.txt",)])
def test_what_a_linked_directory_gets_is_noticed(f0: F0, targets: tuple[str, ...]) -> None:
    f0.recipe(GLOBBED)
    f0.write("disk/A.fq", "a\n")
    link(f0, "data", "disk/")
    f0.run(*targets)
    assert nothing(f0, *targets)
    f0.write("disk/B.fq", "b\n")
    assert f0.run(*targets).states["all"] == "ran" and f0.read("all.txt") == "a\nb\n"
    f0.write("disk/C.fq", "c\n")
    f0.run("all.txt")
    f0.run()
    assert f0.read("all.txt") == "a\nb\nc\n" and f0.read("out/C") == "c\n"
    f0.write("other/Z.fq", "z\n")
    link(f0, "data", "other")
    f0.run(*targets)
    assert f0.read("all.txt") == "z\n"


def test_links_in_a_globbed_directory_are_watched(f0: F0) -> None:
    f0.recipe(GLOBBED)
    f0.write("disk/A.fq", "a\n")
    link(f0, "data/A.fq", "../disk/A.fq")
    f0.run()
    assert nothing(f0)
    f0.write("disk/A.fq", "aa\n")
    assert f0.run().states["all"] == "ran" and f0.read("all.txt") == "aa\n"
    f0.write("new/A.fq", "aa\n")
    link(f0, "data/A.fq", "../new/A.fq")
    assert nothing(f0), "the same content"
    f0.write("new/A.fq", "new\n")
    f0.run()
    assert f0.read("all.txt") == "new\n"


def test_a_link_to_nothing_is_an_error_until_its_target_comes(f0: F0) -> None:
    f0.recipe(GLOBBED)
    f0.write("data/A.fq", "a\n")
    f0.run()
    link(f0, "data/C.fq", "../disk/C.fq")
    for _ in range(2):
        result = f0.run(code=2)
        assert "data/C.fq" in result.stderr and "../disk/C.fq" in result.stderr, result.stderr
    assert "../disk/C.fq" in f0("validate", "recipe.yaml").stderr
    f0.write("disk/C.fq", "c\n")
    f0.run()
    assert f0.read("all.txt") == "a\nc\n" and f0.read("out/C") == "c\n"
    (f0.workspace / "disk/C.fq").unlink()
    assert f0.run(code=2).states == {}


def test_a_dangling_name_that_no_input_names(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: each\n    foreach:\n      s:\n        glob: data/${{ s }}.fq\n"
        "    outputs: out/${{ s }}\n    run: echo ${{ s }} > ${{ outputs }}\n"
    )
    link(f0, "data/C.fq", "/nowhere/C.fq")
    assert "/nowhere/C.fq" in f0.run(code=2).stderr


def test_a_table_that_names_a_link_to_nothing(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: each\n    foreach:\n      s:\n        table: s.csv\n    inputs: ${{ s.reads }}\n"
        "    outputs: out/${{ s.id }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
    )
    f0.write("s.csv", "id,reads\nA,data/A\n")
    link(f0, "data/A", "loop")
    link(f0, "data/loop", "A")
    assert "'loop'" in f0.run(code=2).stderr or "'A'" in f0.run(code=2).stderr


MADE = """\
steps:
  - name: all
    inputs: data/*.fq
    outputs: all.txt
    run: cat ${{ inputs }} > all.txt
  - name: through
    inputs: in/x
    outputs: through.txt
    run: cat in/x > through.txt
  - name: make
    inputs: src
    outputs:
      - made/C.fq
      - out/x
    run: sleep 0.1; cp src made/C.fq; cp src out/x
"""


def test_what_a_step_makes_behind_a_link_comes_first(f0: F0) -> None:
    f0.recipe(MADE)
    link(f0, "data/C.fq", "../made/C.fq")
    link(f0, "in", "out/")
    for text in ("1\n", "2\n"):
        f0.write("src", text)
        f0.run("-j4")
        assert f0.read("all.txt") == f0.read("through.txt") == text
        assert nothing(f0)


PATTERN = """\
steps:
  - name: make
    inputs: ${{ n }}.src
    outputs: made/${{ n }}.txt
    run: cp ${{ inputs }} ${{ outputs }}
  - name: use
    inputs: data/*.txt
    outputs: o.txt
    run: cat ${{ inputs }} > o.txt
"""


@pytest.mark.parametrize("above", [False, True])
def test_what_a_pattern_step_makes_behind_a_link_is_made(f0: F0, above: bool) -> None:
    f0.recipe(PATTERN.replace("*", "a") if above else PATTERN)
    if above:
        link(f0, "data", "made")
    else:
        link(f0, "data/a.txt", "../made/a.txt")
    for text in ("1\n", "2\n"):
        f0.write("a.src", text)
        assert f0.run().states == {"make[n=a]": "ran", "use": "ran"}
        assert f0.read("o.txt") == text
        assert nothing(f0)


INSIDE = """\
steps:
  - name: use
    inputs: d/
    outputs: o.txt
    run: find -L d -type f | sort | xargs cat > o.txt
  - name: make
    inputs: src
    outputs: made/a
    run: sleep 0.1; cp src made/a
"""


@pytest.mark.parametrize(
    "name, text", [("d/a", "../made/a"), ("d/sub/a", "../../made/a"), ("d/all", "../made")]
)
def test_what_a_link_in_an_input_directory_leads_to_is_made_first(f0: F0, name: str, text: str) -> None:
    """Also when the link comes later, on the short way."""
    f0.recipe(INSIDE)
    f0.write("src", "1\n")
    f0.write("d/x", "x\n")
    f0.run()
    assert f0.read("o.txt") == "x\n"
    link(f0, name, text)
    for content in ("1\n", "2\n"):
        f0.write("src", content)
        assert f0.run("-j4").states["use"] == "ran"
        assert f0.read("o.txt") == f"{content}x\n"
        assert nothing(f0)
    assert "use" in f0("plan", "recipe.yaml", "--force", "make").stdout


TEMP_LINK = """\
steps:
  - name: make
    inputs: src
    outputs:
      - path: latest
        temp: yes
      - real
    run: cp src real; ln -s real latest
  - name: use
    inputs:
      - latest
      - other
    outputs: o.txt
    run: cat latest other > o.txt
"""


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("options", [(), ("--no-cache",)])
def test_a_temp_link_that_is_gone_blocks_nobody(f0: F0, options: tuple[str, ...], inside: bool) -> None:
    """Without blobs nobody knows what it led to: it is made again."""
    recipe = TEMP_LINK
    if inside:
        recipe = recipe.replace("ln -s real latest", "mkdir t; ln -s ../real t/latest").replace(
            "path: latest", "path: t/"
        )
        recipe = recipe.replace("- latest", "- t/latest").replace("cat latest", "cat t/latest")
    f0.recipe(recipe)
    f0.write("src", "1\n")
    for text in ("a\n", "b\n"):
        f0.write("other", text)
        f0.run(*options)
        assert f0.read("o.txt") == f"1\n{text}"
        assert not f0.exists("latest") and not f0.exists("t")
        assert f0.run(*options).states["use"] == "current"


@pytest.mark.parametrize("target", ["data/C.fq", "in/x", "in"])
def test_a_target_that_is_a_link_is_what_it_leads_to(f0: F0, target: str) -> None:
    f0.recipe(MADE)
    link(f0, "data/C.fq", "../made/C.fq")
    link(f0, "in", "out")
    for text in ("1\n", "2\n"):
        f0.write("src", text)
        assert f0.run(target).states == {"make": "ran"}
        assert f0.run(target).states == {"make": "current"}
    link(f0, "lost", "nowhere")
    assert "'nowhere'" in f0.run("lost", code=2).stderr


def test_a_target_that_no_step_makes_must_be_there(f0: F0) -> None:
    f0.recipe(MADE)
    f0.write("src", "1\n")
    for _ in range(2):
        assert f0.run("src").summary["current"] == 0
    os.unlink(f0.workspace / "src")
    f0.run("src", code=2)


def test_a_link_in_a_circle_hides_nothing_beside_it(f0: F0) -> None:
    f0.recipe(GLOBBED)
    f0.write("data/A.fq", "a\n")
    link(f0, "data/loop", "loop")
    f0.run()
    assert f0.read("all.txt") == "a\n"
    f0.write("data/B.fq", "b\n")
    f0.run()
    assert f0.read("all.txt") == "a\nb\n"
    link(f0, "data/C.fq", "C.fq")
    assert "'data/C.fq'" in f0.run(code=2).stderr


def test_links_out_of_an_input_directory_count_by_content(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(
        'steps:\n  - name: r\n    inputs: fastq/\n    outputs: o\n    run: cat fastq/*.fq > o; echo r >> "$TRACE"\n'
    )
    traced.write("disk/A.fq", "a\n")
    traced.write("disk/tree/deep/D", "d\n")
    link(f0, "fastq/A.fq", "../disk/A.fq")
    link(f0, "fastq/B.fq", "A.fq")
    link(f0, "fastq/all", str(f0.workspace / "disk/tree"))
    link(f0, "fastq/up", "..")
    link(f0, "fastq/lost", "../disk/none")
    traced.run()
    assert nothing(f0) and nothing(f0, "--rehash")
    traced.write("disk/A.fq", "changed\n")
    assert traced.run().states == {"r": "ran"} and traced.read("o") == "changed\nchanged\n"
    traced.write("disk/tree/deep/D", "dd\n")
    assert traced.run().states == {"r": "ran"}, "what lies behind a link to a directory"
    traced.write("disk/tree/new", "n\n")
    assert traced.run().states == {"r": "ran"}
    traced.write("disk/none", "there\n")
    assert traced.run().states == {"r": "ran"}, "where a link leads now"
    traced.write("disk/A2.fq", "changed\n")
    link(f0, "fastq/A.fq", "../disk/A2.fq")
    assert nothing(f0), "the same content"
    link(f0, "fastq/B.fq", "./A.fq")
    assert traced.run().states == {"r": "ran"}, "a link that stays inside is its text"


def test_an_output_that_is_a_link_is_its_text(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: ln\n    outputs: latest\n    run: ln -s v1 latest\n"
        "  - name: read\n    inputs: latest\n    outputs: o\n    run: cat latest > o\n"
    )
    f0.write("v1", "1\n")
    f0.run()
    assert nothing(f0)
    f0.write("v1", "2\n")
    result = f0.run()
    assert result.states == {"ln": "current", "read": "ran"} and f0.read("o") == "2\n"
    assert nothing(f0) and not f0.exists(".f0make/displaced")
    os.unlink(f0.workspace / "latest")
    assert f0.run().states["ln"] == "restored" and os.readlink(f0.workspace / "latest") == "v1"


EMPTY = "steps:\n  - name: r\n    inputs:\n      - glob: none/*\n{}    outputs: o\n    run: echo ${{{{ inputs }}}} > o\n"


def test_a_glob_that_matches_nothing(f0: F0) -> None:
    f0.recipe(EMPTY.format(""))
    assert "none/*" in f0.run(code=2).stderr and f0("validate", "recipe.yaml").code == 2
    f0.recipe(EMPTY.format("        optional: yes\n"))
    assert f0.run().states == {"r": "ran"} and nothing(f0)
    f0.write("none/x", "x\n")
    f0.run()
    assert f0.read("o") == "none/x\n"
    for entry, code in (("", 2), ("        optional: yes\n", 0)):
        f0.recipe(
            f"targets: other\nsteps:\n  - name: r\n    foreach:\n      s:\n        glob: no/${{{{ s }}}}\n{entry}"
            "    outputs: r/${{ s }}\n    run: touch ${{ outputs }}\n"
            "  - name: other\n    outputs: other\n    run: touch other\n"
            "  - name: needs\n    depends_on: r\n    outputs: needs\n    run: touch needs\n"
        )
        assert f0("validate", "recipe.yaml").code == 0, "no target needs it"
        f0.run("needs", code=code)


HEADERS = """\
steps:
  - name: cc
    inputs: main
    outputs: o
    depfile: o.d
    run: |
      for h in t1/t.h t2/t.h; do if test -e $h; then cat $h > o; echo "o: $h" > o.d; break; fi; done
"""


def test_a_name_that_shadows_what_was_discovered(f0: F0) -> None:
    f0.recipe(HEADERS)
    f0.write("main", "")
    f0.write("t1/t.h", "one\n")
    f0.write("t2/t.h", "two\n")
    for _ in range(2):
        f0.run()
        assert f0.read("o") == "one\n"
        os.rename(f0.workspace / "t1", f0.workspace / "x")
        f0.run()
        assert f0.read("o") == "two\n"
        os.rename(f0.workspace / "x", f0.workspace / "t1")
    f0.run()
    assert f0.read("o") == "one\n" and nothing(f0)


def test_a_result_that_came_before_what_shadows_it(f0: F0) -> None:
    f0.recipe(HEADERS)
    f0.write("main", "")
    f0.write("t2/t.h", "two\n")
    f0.run()
    f0.write("t1/t.h", "one\n")
    f0.run("--force", "cc")
    os.rename(f0.workspace / "t1", f0.workspace / "x")
    f0.run()
    assert f0.read("o") == "two\n"
    os.rename(f0.workspace / "x", f0.workspace / "t1")
    assert f0.run().states == {"cc": "ran"} and f0.read("o") == "one\n", "two results fit and differ"
    assert nothing(f0)
    f0.write("t1/t.h", "new\n")
    f0.run()
    assert f0.read("o") == "new\n", "the older result is known to be none where t1/t.h is"


@pytest.mark.parametrize(
    "meddle",
    [
        "cp x keep; echo other > x; cat x > o; cat keep > x; touch -r keep0 x",
        "touch x; cp x o",
        "chmod u+x x; chmod u-x x; cp x o",
        "mv x y; cp y x; cp x o",
    ],
)
def test_an_input_that_changes_there_and_back(f0: F0, meddle: str) -> None:
    f0.recipe(f"steps:\n  - name: r\n    inputs: x\n    outputs: o\n    run: {meddle}; rm -f keep y\n")
    f0.write("x", "x\n")
    f0.write("keep0", "")
    os.utime(f0.workspace / "x", ns=(10**18, 10**18))
    os.utime(f0.workspace / "keep0", ns=(10**18, 10**18))
    result = f0.run(code=1)
    assert "input x changed" in result.stderr and result.states == {"r": "failed"}


def test_an_input_directory_that_changes_there_and_back(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: r\n    inputs: d/\n    outputs: o\n    run: touch d/b; ls d > o; rm d/b\n"
        "  - name: s\n    inputs: link\n    outputs: p\n    run: touch far/x; cp link p\n"
    )
    f0.write("d/a", "a\n")
    f0.write("far/x", "x\n")
    link(f0, "link", "far/x")
    result = f0.run("-k", code=1)
    assert set(result.states.values()) == {"failed"}, result.stderr


def test_a_link_above_an_input_that_changes_there_and_back(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: r\n    inputs: in/x\n    outputs: o\n    run: |\n"
        "      if [ ! -e once ]; then touch once; ln -sfn two in; cp in/x o; ln -sfn one in; else cp in/x o; fi\n"
    )
    f0.write("one/x", "1\n")
    f0.write("two/x", "2\n")
    link(f0, "in", "one")
    result = f0.run()
    assert "in/x changed" in result.stderr and f0.read("o") == "1\n"
    assert result.reasons == {"r": "never run"}, "a result that does not count is no failure"
    assert nothing(f0)


@pytest.mark.parametrize(
    "command", ["ln x o", "cp -l x o", "ln x y; cp y o; ln x z", "mkdir t; ln x t/x; cp t/x o"]
)
def test_a_hard_link_of_an_input_is_no_change_of_it(f0: F0, command: str) -> None:
    f0.recipe(f"steps:\n  - name: r\n    inputs: x\n    outputs: o\n    run: rm -rf y z t; {command}\n")
    f0.write("x", "one\n")
    result = f0.run()
    assert result.states == {"r": "ran"} and "changed" not in result.stderr and f0.read("o") == "one\n"
    assert f0.run().states == {"r": "current"}
    os.unlink(f0.workspace / "x")
    f0.write("x", "two\n")
    assert f0.run().states == {"r": "ran"} and f0.read("o") == "two\n"


def test_a_linked_input_that_is_written_through_its_other_name_has_changed(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: r\n    inputs: x\n    outputs: o\n    run: ln -f x y; cp x o; echo more >> y\n"
    )
    f0.write("x", "one\n")
    result = f0.run(code=1)
    assert "input x changed" in result.stderr


def test_a_workspace_reached_by_a_link(f0: F0) -> None:
    f0.recipe(GLOBBED)
    f0.write("disk/A.fq", "a\n")
    link(f0, "data", str(f0.workspace / "disk"))
    alias = f0.workspace.with_name(f0.workspace.name + ".alias")
    alias.symlink_to(f0.workspace)
    f0("run", "recipe.yaml", "-C", str(alias))
    assert nothing(f0)
    f0.write("disk/B.fq", "b\n")
    assert f0("run", "recipe.yaml", "-C", str(alias)).code == 0
    assert f0.read("all.txt") == "a\nb\n" and nothing(f0)


TREE = """\
steps:
  - name: make
    inputs: source
    outputs: made/x
    run: cp source made/x
  - name: tree
    inputs: dir/
    outputs: tree.txt
    run: find -L dir -type f | sort | xargs cat > tree.txt
"""


@pytest.mark.parametrize("absolute", [True, False])
def test_links_that_lead_elsewhere_from_another_place(f0: F0, absolute: bool) -> None:
    f0.recipe(TREE)
    f0.write("source", "s\n")
    f0.write("disk/A.fq", "here\n")
    beside = f0.workspace.parent / "beside"
    beside.mkdir()
    (beside / "A.fq").write_text("here\n")
    link(f0, "dir/A.fq", str(f0.workspace / "disk/A.fq") if absolute else "../../beside/A.fq")
    f0.run()
    assert nothing(f0)
    deeper = f0.workspace.parent / "deeper"
    (deeper / "beside").mkdir(parents=True)
    (deeper / "beside/A.fq").write_text("there\n")
    moved = F0(deeper / "moved")
    os.rename(f0.workspace, moved.workspace)
    f0.write("disk/A.fq", "there\n")
    assert moved.run().states["tree"] == "ran" and moved.read("tree.txt") == "there\n"
    assert nothing(moved)


def test_an_output_behind_links_in_an_input_directory_is_made_first(f0: F0) -> None:
    f0.recipe(TREE)
    f0.write("source", "s\n")
    link(f0, "dir/all", "../other")
    link(f0, "other/X", "../made/x")
    assert f0.run().states == {"make": "ran", "tree": "ran"} and f0.read("tree.txt") == "s\n"
    assert nothing(f0)
    f0.write("beside", "by hand\n")
    link(f0, "made/x", "../beside")
    f0.run()
    assert f0.read("tree.txt") == "s\n" and not (f0.workspace / "made/x").is_symlink()
    f0.write("source", "t\n")
    assert f0.run().states == {"make": "ran", "tree": "ran"} and f0.read("tree.txt") == "t\n"


def test_an_output_that_is_altered_while_another_step_runs_comes_back(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: make\n    outputs: a\n    run: echo a > a\n"
        "  - name: meddle\n    inputs: when\n    outputs: b\n    run: if grep now when; then echo by hand > a; fi; cp when b\n"
        "  - name: end\n    inputs:\n      - a\n      - b\n    outputs: end\n    run: cat a b > end\n"
    )
    f0.write("when", "later\n")
    f0.run()
    f0.write("when", "now\n")
    f0.run()
    f0.run()
    assert f0.read("a") == "a\n" and f0.read("end") == "a\nnow\n"
    assert nothing(f0)


def test_a_recipe_that_is_edited_during_its_run_counts_in_the_next(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: a\n    outputs: x\n    run: echo one > x\n"
        "  - name: b\n    outputs: y\n    run: touch y; sed -i 's/echo one/echo two/' recipe.yaml\n"
    )
    f0.run()
    f0.run()
    assert f0.read("x") == "two\n"

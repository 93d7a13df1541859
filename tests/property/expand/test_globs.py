"""Globs: in foreach and in inputs, on disk and on what other steps will make."""

from __future__ import annotations

import fnmatch
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.expand.disk_facts import DiskFacts
from f0make.expand.globs import Glob, capture, crosses, escape, glob_symbols, has_glob, is_pattern, overlap
from tests.support.examples import examples
from tests.support.expand_world import World, names, one


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


COUNT = """
steps:
  - name: count
    foreach:
      lang:
        glob: texts/*/${{ lang }}.txt
    outputs: out/${{ lang }}
    run: x ${{ lang }} > ${{ outputs }}
"""


def test_a_variable_is_captured_once_and_sorted(world: World) -> None:
    world.files("texts/b/fr.txt", "texts/b/en.txt", "texts/a/en.txt", "texts/a/deep/xx.txt", "texts/a/en.csv")
    assert names(world.good(COUNT)) == ["count[lang=en]", "count[lang=fr]"]


def test_no_file_means_no_instance(world: World) -> None:
    found = world.good(COUNT)
    assert found.instances == [] and not found.warnings, "an error where a target needs it"
    assert "texts" in world.facts.absent


def test_hidden_files_and_the_state_are_not_seen(world: World) -> None:
    world.files("texts/a/.en.txt", "texts/.a/en.txt", "texts/.f0make/en.txt")
    assert world.good(COUNT).instances == []


def test_several_variables_and_repeated_ones(world: World) -> None:
    world.files("reads/A_1.fq", "reads/A_2.fq", "reads/B_1.fq", "x/s/s.bam", "x/s/t.bam")
    found = world.good(
        """
        steps:
          - name: map
            foreach:
              "id, read":
                glob: reads/${{ id }}_${{ read }}.fq
            run: echo ${{ id }} ${{ read }}
          - name: same
            foreach:
              s:
                glob: x/${{ s }}/${{ s }}.bam
            run: echo ${{ s }}
        """
    )
    assert names(found) == ["map[id=A,read=1]", "map[id=A,read=2]", "map[id=B,read=1]", "same[s=s]"]


def test_wildcards_constrain_and_may_cross_directories(world: World) -> None:
    world.files("in/a1.txt", "in/ab.txt", "in/x/y/z.txt", "in/x/w.txt")
    recipe = """
        wildcards:
          n: '[a-z]\\d'
          deep: '.+'
        steps:
          - name: a
            foreach:
              n:
                glob: in/${{ n }}.txt
            run: echo ${{ n }}
          - name: b
            foreach:
              deep:
                glob: in/x/${{ deep }}.txt
            run: echo ${{ deep }}
        """
    assert names(world.good(recipe)) == ["a[n=a1]", "b[deep=w]", "b[deep=y/z]"]


def test_globs_may_use_the_config_but_no_other_variable(world: World) -> None:
    world.files("data/set[1]/a.txt", "data/b.txt")
    found = world.good(
        """
        config:
          dir: data
        steps:
          - name: a
            foreach:
              x:
                glob: ${{ config.dir }}/${{ x }}.txt
            run: echo ${{ x }}
        """
    )
    assert names(found) == ["a[x=b]"]
    problems = world.bad(
        """
        steps:
          - name: a
            foreach:
              y:
                - one
              x:
                glob: ${{ y }}/${{ x }}.txt
            run: echo ${{ x }} ${{ y }}
        """
    )
    assert "`y` is not defined" in problems[0].message


def test_a_glob_sees_what_other_steps_will_make(world: World) -> None:
    world.files("in/a.txt", "in/b.txt", "mid/users.txt")
    recipe = """
        steps:
          - name: gather
            inputs: final/*.txt
            outputs: all
            run: cat ${{ inputs }} > all
          - name: last
            foreach:
              y:
                glob: mid/${{ y }}.txt
            outputs: final/${{ y }}.txt
            run: x > ${{ outputs }}
          - name: first
            foreach:
              x:
                glob: in/${{ x }}.txt
            outputs: mid/${{ x }}.txt
            run: x > ${{ outputs }}
        """
    found = world.good(recipe)
    assert one(found, "gather").inputs == ["final/a.txt", "final/b.txt", "final/users.txt"]
    assert names(found)[1:4] == ["last[y=a]", "last[y=b]", "last[y=users]"]


def test_a_steps_own_outputs_never_feed_its_glob(world: World) -> None:
    world.files("data/a.txt")
    world.file("data/a.out.txt", made_by="a[x=a]")
    recipe = """
        steps:
          - name: a
            foreach:
              x:
                glob: data/${{ x }}.txt
            inputs: data/*.txt
            outputs: data/${{ x }}.out.txt
            run: x ${{ inputs }}
        """
    found = world.good(recipe)
    assert names(found) == ["a[x=a]"] and found.instances[0].inputs == ["data/a.txt"] and found.warnings == []
    world.made.clear()  # the records are lost: now it looks like a file of the user's
    found = world.good(recipe)
    assert names(found) == ["a[x=a]"]


def test_orphans_are_left_out_and_named(world: World) -> None:
    world.files("in/a.txt")
    world.file("mid/a.txt", made_by="first[x=a]")
    world.file("mid/gone.txt", made_by="first[x=gone]")
    recipe = """
        steps:
          - name: first
            foreach:
              x:
                glob: in/${{ x }}.txt
            outputs: mid/${{ x }}.txt
            run: x > ${{ outputs }}
          - name: gather
            inputs: mid/*.txt
            run: cat ${{ inputs }}
          - name: each
            foreach:
              y:
                glob: mid/${{ y }}.txt
            run: cat ${{ y }}
        """
    found = world.good(recipe)
    assert one(found, "gather").inputs == ["mid/a.txt"]
    assert names(found)[2:] == ["each[y=a]"]
    (warning,) = found.warnings
    assert "mid/gone.txt" in warning and "first[x=gone]" in warning and "f0make clean --orphans" in warning


SPLIT = """
    steps:
      - name: split
        inputs: big.txt
        outputs: chunks/
        run: split
      - name: gather
        inputs: chunks/*.txt
        run: cat ${{ inputs }}
      - name: each
        foreach:
          c:
            glob: chunks/${{ c }}.txt
        run: cat ${{ c }}
    """


def test_what_an_output_directory_holds_is_known_when_its_step_is_done(world: World) -> None:
    world.file("chunks/1.txt", made_by="split")
    found = world.good(SPLIT)
    assert names(found) == ["split"] and found.pending == {"gather": "split", "each": "split"}
    found = world.good(SPLIT, finished=("split",))
    assert found.pending == {} and found.warnings == []  # a file in an output directory is no orphan
    assert names(found) == ["split", "gather", "each[c=1]"] and one(found, "gather").inputs == [
        "chunks/1.txt"
    ]


def test_a_step_that_the_directory_needs_does_not_wait_for_it(world: World) -> None:
    world.files("data/a.csv")
    found = world.good(
        """
        steps:
          - name: table
            inputs: "**/*.csv"
            outputs: big.txt
            run: cat ${{ inputs }}
          - name: split
            inputs: big.txt
            outputs: chunks/
            run: split
        """
    )
    assert found.pending == {} and one(found, "table").inputs == ["data/a.csv"]


def test_globs_that_feed_each_other_without_end_are_an_error(world: World) -> None:
    world.files("x/1")
    problems = world.bad(
        """
        steps:
          - name: there
            foreach:
              v:
                glob: x/${{ v }}
            outputs: y/${{ v }}a
            run: x > ${{ outputs }}
          - name: back
            foreach:
              v:
                glob: y/${{ v }}
            outputs: x/${{ v }}b
            run: x > ${{ outputs }}
        """
    )
    assert "there, back" in problems[0].message and "without end" in problems[0].message


def test_a_literal_path_with_glob_characters_is_literal_when_it_is_there(world: World) -> None:
    world.files("data/[1].txt", "data/1.txt")
    found = world.good(
        """
        steps:
          - name: a
            inputs: data/[1].txt
            run: cat ${{ inputs }}
          - name: maker
            outputs: made/x*.txt
            run: x > ${{ outputs }}
          - name: b
            inputs: made/x*.txt
            run: cat ${{ inputs }}
        """
    )
    assert one(found, "a").inputs == ["data/[1].txt"] and one(found, "b").inputs == ["made/x*.txt"]


def test_values_in_a_glob_are_names_and_the_config_may_hold_globs(world: World) -> None:
    world.files("in/*/1.txt", "in/b/2.txt", "c/x.csv", "c/y.csv")
    found = world.good(
        """
        config:
          tables: c/*.csv
          dir: c
        steps:
          - name: a
            foreach:
              d:
                - '*'
            inputs:
              - in/${{ d }}/*.txt
            run: cat ${{ inputs }}
          - name: b
            foreach:
              d:
                - 'x*'
            inputs:
              - lit/${{ d }}
              - ${{ config.tables }}
            run: cat ${{ inputs }}
        """
    )
    assert found.instances[0].inputs == ["in/*/1.txt"]
    assert found.instances[1].inputs == ["lit/x*", "c/x.csv", "c/y.csv"]


def test_an_input_glob_without_files(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            inputs: data/*.csv
            run: cat ${{ inputs }}
        """
    )
    assert found.instances[0].inputs == [] and not found.warnings, "an error where a target needs it"
    assert "data" in world.facts.absent


def test_directories_match_where_the_glob_ends_in_a_slash(world: World) -> None:
    world.files("s/a/x", "s/b/x", "s/file")
    found = world.good(
        """
        steps:
          - name: make
            outputs: s/c/
            run: mkdir s/c
          - name: a
            foreach:
              d:
                glob: s/${{ d }}/
            run: ls ${{ d }}
          - name: files
            inputs: s/*
            run: ls ${{ inputs }}
        """
    )
    assert names(found)[1:4] == ["a[d=a]", "a[d=b]", "a[d=c]"] and one(found, "files").inputs == ["s/file"]


def test_watched_directories_are_those_that_matter(world: World) -> None:
    world.files("t/a/x.txt", "t/b/y.txt", "unrelated/z.txt")
    found = world.good(
        """
        steps:
          - name: a
            inputs: t/*/x.txt
            run: cat ${{ inputs }}
        """
    )
    assert found.watched_directories == {"t", "t/a", "t/b"}


def test_globs_outside_the_workspace(world: World) -> None:
    (world.root / "ws").mkdir()
    world.files("outside/a.csv", "ws/inside.csv")
    inner = World(world.root / "ws")
    found = inner.good(
        f"""
        steps:
          - name: a
            inputs:
              - ../outside/*.csv
              - ../ws/*.csv
              - {world.root}/ws/ins*.csv
              - {world.root}/outside/*.csv
            run: cat ${{{{ inputs }}}}
        """
    )
    assert found.instances[0].inputs == [
        "../outside/a.csv",
        "inside.csv",
        "inside.csv",
        f"{world.root}/outside/a.csv",
    ]


segment = st.text(alphabet="ab.*?[]!", min_size=1, max_size=4).filter(lambda s: s not in (".", ".."))
file_names = st.text(alphabet="ab.!*[", min_size=1, max_size=3).filter(lambda s: s.strip(".") != "")


def model(pattern: str, path: str) -> bool:
    """What a glob means, said in another way: segment by segment, `**` as any number of them."""

    def walk(patterns: list[str], parts: list[str]) -> bool:
        if not patterns:
            return not parts
        if patterns[0] == "**":
            if len(patterns) == 1:
                return bool(parts) and not any(part.startswith(".") for part in parts)
            return walk(patterns[1:], parts) or (
                bool(parts) and not parts[0].startswith(".") and walk(patterns, parts[1:])
            )
        if not parts:
            return False
        wild = patterns[0][0] in "*?" or (
            patterns[0][0] == "[" and patterns[0][1:3] not in ("*]", "?]", "[]")
        )
        literal = not is_pattern(patterns[0])
        if wild and not literal and parts[0].startswith("."):
            return False
        return fnmatch.fnmatchcase(parts[0], patterns[0]) and walk(patterns[1:], parts[1:])

    return walk(pattern.split("/"), path.split("/"))


patterns = st.lists(st.one_of(segment, st.just("**"), st.just("*")), min_size=1, max_size=3).map("/".join)
paths = st.lists(file_names, min_size=1, max_size=3).map("/".join)


@examples(400)
@given(patterns, st.lists(paths, min_size=1, max_size=6))
def test_a_glob_matches_what_the_model_says(pattern: str, candidates: list[str]) -> None:
    glob = Glob(pattern, {})
    for path in candidates:
        assert (glob.matches(path)) == model(pattern, path), (pattern, path)
        assert not glob.matches(path) or path.startswith(glob.prefix)


@examples(80)
@given(patterns, st.sets(paths, min_size=1, max_size=6))
def test_the_disk_gives_what_the_model_says(pattern: str, candidates: set[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        there = set()
        for path in sorted(candidates):
            target = Path(root, path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    target.touch()
                    there.add(path)
            except OSError:
                continue  # a file is in the way of a directory
        assert DiskFacts(root).glob(pattern) == sorted(p for p in there if model(pattern, p))


@given(st.text(alphabet="ab*?[].", min_size=1, max_size=8))
def test_escaped_text_matches_just_itself(text: str) -> None:
    assert not is_pattern(escape(text))
    assert Glob(escape(text), {}).matches(text) or text in (".", "..")
    assert Glob(escape(text), {}).prefix == text or text == "."
    assert has_glob(text) or escape(text) == text


@examples(300)
@given(patterns, patterns, st.lists(paths, max_size=8))
def test_two_globs_with_a_common_match_overlap(one_glob: str, other: str, candidates: list[str]) -> None:
    first, second = Glob(one_glob, {}), Glob(other, {})
    if any(first.matches(path) and second.matches(path) for path in candidates):
        assert overlap(glob_symbols(first), glob_symbols(second))


@pytest.mark.parametrize(
    ("one_glob", "other", "common"),
    [
        ("a/*.txt", "a/b*", True),
        ("a/*.txt", "b/*.txt", False),
        ("a/*.txt", "a/b/c.txt", False),
        ("a/**/*.txt", "a/b/c/d.txt", True),
        ("a/**/*.txt", "a/d.txt", True),
        ("*.csv", "*.txt", False),
        (f"out/{capture('x')}.txt", "out/*.t?t", True),
    ],
)
def test_overlap(one_glob: str, other: str, common: bool) -> None:
    assert overlap(glob_symbols(Glob(one_glob, {})), glob_symbols(Glob(other, {}))) is common


@pytest.mark.parametrize(
    ("wildcard", "may"),
    [
        ("[^/]+", False),
        (r"[a-z]\d+", False),
        (r"\w+\.\w+", False),
        ("[^/.]+", False),
        ("(en|fr)", False),
        (".+", True),
        ("[^.]+", True),
        (r"\S+", True),
        ("a/b", True),
    ],
)
def test_whether_a_wildcard_may_hold_a_slash(wildcard: str, may: bool) -> None:
    assert crosses(wildcard) is may


def test_loops_of_links_and_links_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d" / "f").touch()
    facts = DiskFacts(str(tmp_path))
    assert (
        facts.glob("**/f") == ["d/f"]
        and facts.glob("d/*") == ["d/dangling", "d/f"]
        and facts.glob("no/such/*") == []
    )
    assert facts.glob("d/loop/f") == ["d/loop/f"] and facts.exists("d/dangling")
    assert facts.links == {"d/loop", "d/dangling"}
    assert facts.directories == {".", "d"} and facts.absent == {"no", "nowhere"}


def test_a_directory_that_cannot_be_listed_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.files("data/secret/a.csv")
    real = os.scandir

    def refuse(path: str = ".") -> object:
        if str(path).rstrip("/").endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (problem,) = world.bad("steps:\n  - name: a\n    inputs: data/*/*.csv\n    run: cat ${{ inputs }}\n")
    assert "'data/secret' cannot be listed: Permission denied" in problem.message


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9 \n.txt", os.O_CREAT | os.O_WRONLY))
    (found,) = DiskFacts(str(tmp_path)).glob("*.txt")
    assert os.fsencode(found) == b"caf\xe9 \n.txt"
    assert re.fullmatch(r"caf.{1} \n\.txt", found)

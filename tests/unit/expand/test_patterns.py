"""Pattern steps: asked for by inputs and targets, chained, ambiguous, in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.expand_world import World, names, one, outputs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


CC = """
steps:
  - name: link
    inputs:
      - build/main.o
      - build/sub/util.o
      - lib/ready.o
    outputs: app
    run: ld ${{ inputs }} -o ${{ outputs }}
  - name: cc
    inputs:
      - src/${{ stem }}.c
      - src/common.h
    outputs: ./build//${{ stem }}.o
    run: cc -c ${{ inputs[0] }} -o ${{ outputs }} -D${{ stem }}
"""


def test_what_others_ask_for_is_made(world: World) -> None:
    world.files("src/main.c", "src/sub/util.c", "src/unused.c", "src/common.h", "lib/ready.o")
    found = world.good(CC.replace("steps:", "wildcards:\n  stem: .+\nsteps:", 1))
    assert names(found) == ["link", "cc[stem=main]", "cc[stem=sub/util]"]
    main = one(found, "cc[stem=main]")
    assert main.inputs == ["src/main.c", "src/common.h"] and outputs(main) == ["build/main.o"]
    assert main.command == "cc -c src/main.c -o build/main.o -Dmain"
    assert found.by_output["build/sub/util.o"] == 2


def test_a_wildcard_stays_in_its_segment_unless_told_otherwise(world: World) -> None:
    world.files("src/main.c", "src/sub/util.c", "src/common.h")
    assert names(world.good(CC)) == ["link", "cc[stem=main]"]


def test_targets_ask_too_as_files_and_as_instances(world: World) -> None:
    world.files("src/main.c", "src/other.c", "src/third.c", "src/common.h")
    found = world.good(CC, "build/../build/other.o", "cc[stem=third]", "cc[stem=nothing]", "app", "no/such")
    # One that is named outright is there even without its prerequisite, so that this can be said.
    assert names(found) == ["link", "cc[stem=main]", "cc[stem=nothing]", "cc[stem=other]", "cc[stem=third]"]


def test_without_prerequisites_a_pattern_does_not_apply(world: World) -> None:
    world.files("src/main.c")
    assert names(world.good(CC)) == ["link"]


def test_a_users_file_without_an_applicable_pattern_is_a_source(world: World) -> None:
    world.files("src/common.h", "build/main.o", "src/sub/util.c")
    assert names(world.good(CC)) == ["link"]


CHAIN = """
steps:
  - name: all
    inputs: a.z
    run: 'true'
  - name: first
    inputs: ${{ n }}.x
    outputs: ${{ n }}.y
    run: cp ${{ inputs }} ${{ outputs }}
  - name: second
    inputs: ${{ n }}.y
    outputs: ${{ n }}.z
    run: cp ${{ inputs }} ${{ outputs }}
  - name: shrink
    inputs: ${{ n }}.gz
    outputs: ${{ n }}
    run: gunzip ${{ inputs }}
"""


def test_patterns_are_chained(world: World) -> None:
    world.files("a.x")
    assert names(world.good(CHAIN)) == ["all", "first[n=a]", "second[n=a]"]


def test_endless_chains_end(world: World) -> None:
    assert names(world.good(CHAIN)) == ["all"]
    world.files("a.z.gz.gz")
    assert names(world.good(CHAIN)) == ["all", "shrink[n=a.z]", "shrink[n=a.z.gz]"]


def test_a_chain_may_go_down_to_a_file_that_is_there(world: World) -> None:
    world.files("level0")
    recipe = """
        wildcards:
          n: '[1-9][0-9]*'
        steps:
          - name: top
            inputs: level{top}
            run: 'true'
          - name: level
            inputs: level${{ n | int - 1 }}
            outputs: level${{ n }}
            run: cp ${{ inputs }} ${{ outputs }}
        """
    assert len(world.good(recipe.replace("{top}", "40")).instances) == 41
    assert len(world.good(recipe.replace("{top}", "60")).instances) == 1


TWO = """
steps:
  - name: all
    inputs: out.o
    run: 'true'
  - name: cc
    inputs: ${{ s }}.c
    outputs: ${{ s }}.o
    run: cc
  - name: cxx
    inputs: ${{ s }}.cc
    outputs: ${{ s }}.o
    run: c++
    priority: PRIORITY
"""


def test_two_patterns_for_one_file_are_an_error_unless_one_is_preferred(world: World) -> None:
    world.files("out.c", "out.cc")
    problems = world.bad(TWO.replace("PRIORITY", "0"))
    assert len(problems) == 1
    text = str(problems[0])
    assert (
        "'out.o'" in text
        and "cc[s=out] (recipe.yaml:7:14)" in text
        and "cxx[s=out] (recipe.yaml:11:14)" in text
    )
    assert names(world.good(TWO.replace("PRIORITY", "1"))) == ["all", "cxx[s=out]"]
    assert names(world.good(TWO.replace("PRIORITY", "-1"))) == ["all", "cc[s=out]"]
    assert names(world.good(TWO.replace("PRIORITY", "${{ 1 if s == 'out' else -1 }}"))) == [
        "all",
        "cxx[s=out]",
    ]


def test_only_one_of_two_patterns_has_its_prerequisite(world: World) -> None:
    world.files("out.cc")
    assert names(world.good(TWO.replace("PRIORITY", "0"))) == ["all", "cxx[s=out]"]


def test_a_concrete_step_comes_before_any_pattern(world: World) -> None:
    world.files("out.c")
    found = world.good(
        TWO.replace("PRIORITY", "0") + "  - name: special\n    outputs: out.o\n    run: special\n"
    )
    assert names(found) == ["all", "special"]


def test_a_pattern_with_foreach_too(world: World) -> None:
    world.files("src/a.c", "src/b.c")
    found = world.good(
        """
        steps:
          - name: all
            inputs:
              - debug/a.o
              - release/b.o
              - other/a.o
            run: 'true'
          - name: cc
            foreach:
              mode:
                - release
                - debug
            inputs: src/${{ stem }}.c
            outputs:
              - ${{ mode }}/${{ stem }}.o
              - ${{ mode }}/${{ stem }}.d
            run: cc -O${{ mode }} ${{ stem }}
        """
    )
    assert names(found) == ["all", "cc[mode=debug,stem=a]", "cc[mode=release,stem=b]"]
    assert outputs(found.instances[1]) == ["debug/a.o", "debug/a.d"]


def test_outputs_of_a_pattern_must_hold_the_same_variables(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: cc
            inputs: ${{ a }}.c
            outputs:
              - ${{ a }}.${{ b }}.o
              - ${{ a }}.log
            run: cc
        """
    )
    assert len(problems) == 1 and "${{ b }}" in problems[0].message
    assert str(problems[0].where) == "recipe.yaml:6:9"


def test_a_wildcard_must_stand_alone(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: cc
            inputs: ${{ a }}.c
            outputs: ${{ a }}-${{ a | upper }}.o
            run: cc
        """
    )
    assert len(problems) == 1 and "stand alone" in problems[0].message and problems[0].where.column == 23  # type: ignore[union-attr]


def test_a_repeated_variable_matches_the_same_text(world: World) -> None:
    world.files("a.c", "x.c")
    found = world.good(
        """
        steps:
          - name: all
            inputs:
              - obj/a/a.o
              - obj/x/a.o
            run: 'true'
          - name: cc
            inputs: ${{ a }}.c
            outputs: obj/${{ a }}/${{ a }}.o
            run: cc
        """
    )
    assert names(found) == ["all", "cc[a=a]"]


def test_a_directory_is_asked_for_by_what_is_in_it(world: World) -> None:
    world.files("a.tar")
    found = world.good(
        """
        steps:
          - name: all
            inputs: tree/a/deep/file.txt
            run: 'true'
          - name: untar
            inputs: ${{ a }}.tar
            outputs: tree/${{ a }}/
            run: tar
        """
    )
    assert names(found) == ["all", "untar[a=a]"]


def test_inputs_of_a_pattern_may_be_globs_and_steps(world: World) -> None:
    world.files("src/m/1.c", "src/m/2.c")
    found = world.good(
        """
        steps:
          - name: all
            inputs:
              - m.lib
              - n.lib
            run: x ${{ steps.lib(m='m').outputs }}
          - name: lib
            inputs:
              - src/${{ m }}/*.c
              - ${{ steps.head.outputs }}
            outputs: ${{ m }}.lib
            run: lib ${{ inputs }}
          - name: head
            outputs: gen.h
            run: head
        """
    )
    assert names(found) == ["all", "lib[m=m]", "head"]
    assert one(found, "lib[m=m]").inputs == ["src/m/1.c", "src/m/2.c", "gen.h"]
    assert one(found, "all").command == "x m.lib"


def test_a_glob_finds_what_a_pattern_makes_for_others(world: World) -> None:
    world.files("a.x")
    found = world.good(
        """
        steps:
          - name: all
            inputs: out/*.y
            run: x ${{ inputs }}
          - name: ask
            inputs: out/a.y
            run: 'true'
          - name: make
            inputs: ${{ n }}.x
            outputs: out/${{ n }}.y
            run: cp
        """
    )
    assert one(found, "all").inputs == ["out/a.y"]


def test_faults_of_patterns(world: World) -> None:
    world.files("a.x")
    problems = world.bad(
        """
        steps:
          - name: all
            inputs: a.y
            run: 'true'
          - name: make
            inputs: ${{ n }}.x
            outputs: ${{ n }}.y
            run: cp ${{ m }}
          - name: uses_inputs
            inputs: ${{ n }}.x
            outputs: ${{ n }}/${{ inputs[0] }}
            run: cp
        """
    )
    assert [(p.where.line, p.message[:30]) for p in problems if p.where] == [  # type: ignore[misc]
        (8, "`m` is not defined"),
        (11, "`inputs` is not known yet here"),
    ]


def test_a_misspelt_variable_in_outputs_is_said(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: count
            foreach:
              book:
                - moby
            outputs: out/${{ bok }}.txt
            run: wc ${{ book }}
        """
    )
    assert found.instances == []
    assert any("`bok`" in w and "`book`" in w for w in found.warnings)


def test_patterns_that_breed_patterns_come_to_an_end(world: World) -> None:
    steps = "\n".join(
        f"  - name: p{n}\n    inputs:\n      - ${{{{ x }}}}.a{n}\n      - ${{{{ x }}}}.b{n}\n"
        f"    outputs: ${{{{ x }}}}\n    run: 'true'"
        for n in range(6)
    )
    found = world.expand(f"steps:\n  - name: all\n    inputs: goal\n    run: 'true'\n{steps}\n")
    assert names(found) == ["all"]

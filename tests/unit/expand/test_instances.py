"""Steps with templates -> instances: foreach, fields, paths, `steps`, `attempt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.expand_world import World, names, one, outputs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_step_without_templates_is_one_instance(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: hello
            run: echo hello > out/./hello//a.txt
            inputs:
              - ./data//in.txt
              - dir/
            outputs: out/./hello//a.txt
        """
    )
    (hello,) = found.instances
    assert hello.name == "hello" and hello.variables == {}
    assert hello.inputs == ["data/in.txt", "dir"]
    assert outputs(hello) == ["out/hello/a.txt"] and not hello.outputs[0].directory
    assert hello.command == "echo hello > out/./hello//a.txt"
    assert hello.exit_codes == [0] and hello.when and hello.cache
    assert found.by_output == {"out/hello/a.txt": 0}


def test_foreach_multiplies_in_the_order_declared(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: count
            foreach:
              book:
                - moby
                - emma
              lang:
                - en
                - fr
            inputs: texts/${{ book }}.${{ lang }}
            outputs: out/${{ book }}/${{ lang }}/
            run: wc ${{ inputs }} > ${{ outputs[0] }}/n
        """
    )
    assert names(found) == [
        "count[book=moby,lang=en]",
        "count[book=moby,lang=fr]",
        "count[book=emma,lang=en]",
        "count[book=emma,lang=fr]",
    ]
    first = found.instances[0]
    assert first.command == "wc texts/moby.en > out/moby/en/n"
    assert outputs(first) == ["out/moby/en"] and first.outputs[0].directory


def test_zip_and_bound_variables(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            foreach:
              x:
                range: 9..11
              "id, read":
                - - A
                  - '1'
                - - B
                  - '2'
                - - C
                  - '3'
            combine: zip
            outputs: ${{ id }}_${{ read }}_${{ x }}
            run: touch ${{ outputs }}
        """
    )
    assert [outputs(i)[0] for i in found.instances] == ["A_1_9", "B_2_10", "C_3_11"]
    assert found.instances[0].name == "a[x=9,id=A,read=1]"


def test_zip_of_unequal_lists_is_an_error(world: World) -> None:
    world.files("in/a.txt", "in/b.txt")
    problems = world.bad(
        """
        steps:
          - name: a
            foreach:
              x:
                glob: in/${{ x }}.txt
              y:
                - '1'
            combine: zip
            run: echo ${{ x }} ${{ y }}
        """
    )
    assert "x has 2, y has 1" in problems[0].message and problems[0].where and problems[0].where.line == 8


def test_ranges(world: World) -> None:
    found = world.good(
        """
        config:
          n: '3'
        steps:
          - name: a
            foreach:
              x:
                range: 1..${{ config.n }}
            run: echo ${{ x | int - 1 }}
          - name: b
            foreach:
              x:
                range: 08..10
            run: echo ${{ x }}
        """
    )
    assert [i.command for i in found.instances] == [
        "echo 0",
        "echo 1",
        "echo 2",
        "echo 08",
        "echo 09",
        "echo 10",
    ]


def test_foreach_values_may_come_from_the_config(world: World) -> None:
    found = world.good(
        """
        config:
          books:
            - moby
            - emma
          extra: dune
        env:
          EXTRA: ${{ config.extra }}
        steps:
          - name: a
            foreach:
              book:
                - ${{ config.books }}
                - ${{ env.EXTRA }}
                - last
            run: echo ${{ book }}
        """
    )
    assert [i.variables["book"] for i in found.instances] == ["moby", "emma", "dune", "last"]


def test_values_with_anything_in_them_give_different_names_and_quoted_words(world: World) -> None:
    found = world.good(
        r"""
        steps:
          - name: a
            foreach:
              x:
                - "a,y=b"
                - "a]"
                - "two\nlines"
                - 'back\slash'
                - "it's $HOME"
              y:
                - b
            run: echo ${{ x }}
        """
    )
    assert names(found) == [
        r"a[x=a\,y=b,y=b]",
        r"a[x=a\],y=b]",
        r"a[x=two\nlines,y=b]",
        r"a[x=back\\slash,y=b]",
        "a[x=it's $HOME,y=b]",
    ]
    assert found.instances[4].command == "echo 'it'\"'\"'s $HOME'"


def test_equal_instances_are_an_error(world: World) -> None:
    problems = world.bad(
        """
        config:
          twice: x
        steps:
          - name: a
            foreach:
              v:
                - x
                - ${{ config.twice }}
            run: echo ${{ v }}
        """
    )
    assert len(problems) == 1 and "a[v=x]" in problems[0].message


def test_list_valued_items_become_that_many_paths(world: World) -> None:
    found = world.good(
        """
        config:
          files:
            - one.txt
            - two words.txt
        steps:
          - name: a
            inputs:
              - ${{ config.files }}
              - three.txt
            run: cat ${{ inputs }} ${{ inputs[1] }} ${{ inputs | length }}
        """
    )
    (a,) = found.instances
    assert a.inputs == ["one.txt", "two words.txt", "three.txt"]
    assert a.command == "cat one.txt 'two words.txt' three.txt 'two words.txt' 3"


def test_named_inputs_and_outputs(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            inputs:
              table: t x.csv
              parts:
                - p1
                - p2
            outputs:
              plot: plot.png
              logs:
                - path: l1
                  temp: yes
                - l2
            run: x ${{ inputs }} ${{ inputs.table }} ${{ inputs.parts }} ${{ outputs.plot }} ${{ inputs[0] | raw }}
        """
    )
    (a,) = found.instances
    assert a.command == "x 't x.csv' p1 p2 't x.csv' p1 p2 plot.png t x.csv"
    assert a.named_inputs == {"table": "t x.csv", "parts": ["p1", "p2"]}
    assert a.named_outputs == {"plot": "plot.png", "logs": ["l1", "l2"]}
    assert [o.temp for o in a.outputs] == [False, True, False]


def test_scripts_get_plain_values(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            inputs: my file.txt
            run: |
              #!/usr/bin/env python3
              print(open(${{ inputs[0] | tojson }}).read(), ${{ inputs | length }})
        """
    )
    assert found.instances[0].command == '#!/usr/bin/env python3\nprint(open("my file.txt").read(), 1)\n'


def test_shell_text_reaches_the_shell_untouched(world: World) -> None:
    text = "awk '{print $1}' ${HOME} $(date) {% if x %} {{ y }} {# z #} $${{ 1 }}"
    found = world.good(
        f"""
        steps:
          - name: a
            run: |
              {text}
        """
    )
    assert found.instances[0].command == text.replace("${{ 1 }}", "1") + "\n"


def test_env_and_resources_come_before_paths(world: World) -> None:
    found = world.good(
        """
        config:
          dir: data
        env:
          TOP: ${{ config.dir }}/top
        steps:
          - name: a
            foreach:
              n:
                - '1'
                - '2'
            env:
              SUB: ${{ env.TOP }}/${{ n }}
              THREADS: ${{ resources.cpu }}
            resources:
              cpu: ${{ n }}
              mem: ${{ n | int * 2 }}GB
            inputs: ${{ env.SUB }}/in
            outputs: out/${{ env.SUB }}
            run: x ${{ resources.mem }} ${{ env.THREADS }} ${{ step.name }} ${{ step.instance }} ${{ attempt }}
        """
    )
    first = found.instances[0]
    assert first.env == {"TOP": "data/top", "SUB": "data/top/1", "THREADS": "1"}
    assert first.resources == {"cpu": 1.0, "mem": 2_000_000_000}
    assert first.inputs == ["data/top/1/in"] and outputs(first) == ["out/data/top/1"]
    assert first.command == "x 2000000000 1 a 'a[n=1]' 1"


def test_every_kind_of_field_is_rendered_and_converted(world: World) -> None:
    found = world.good(
        """
        config:
          two: '2'
          yes: 'yes'
          s: 3s
          labels:
            - gpu
            - big
        steps:
          - name: before
            run: 'true'
          - name: a
            run: cc ${{ outputs }}
            outputs: o.o
            retries: ${{ config.two }}
            retry_delay: ${{ config.s }}
            timeout: ${{ config.two }}m
            priority: -${{ config.two }}
            shell: bash -${{ 'x' }}
            cache: ${{ config.yes }}
            always: ${{ config.yes == 'yes' }}
            depfile: ./${{ outputs[0] }}.d
            runs_on:
              - ${{ config.labels }}
            fingerprint:
              - ${{ 'my cc' }} --version
            depends_on:
              - ${{ 'before' }}
            success:
              not_empty: ${{ config.yes }}
              exit_codes:
                - '0'
                - ${{ config.two }}
        """
    )
    a = one(found, "a")
    assert (a.retries, a.retry_delay, a.timeout, a.priority) == (2, 3.0, 120.0, -2)
    assert (a.shell, a.cache, a.always, a.depfile) == ("bash -x", True, True, "o.o.d")
    assert (a.runs_on, a.fingerprint, a.depends_on) == (["gpu", "big"], ["'my cc' --version"], ["before"])
    assert (a.not_empty, a.exit_codes) == (True, [0, 2])


def test_a_bad_value_is_an_error_at_its_expression(world: World) -> None:
    problems = world.bad(
        """
        config:
          n: many
        steps:
          - name: a
            run: 'true'
            retries: ${{ config.n }}
        """
    )
    assert [str(p) for p in problems] == [
        "recipe.yaml:6:14: a.retries: expected an integer of 0 or more, found 'many'"
    ]


@pytest.mark.parametrize(
    ("when", "runs"),
    [
        ("no", False),
        ("'No '", False),
        ("'FALSE'", False),
        ("'0'", False),
        ("''", False),
        ("'yes'", True),
        ("'off'", True),
        ("${{ lang == 'en' }}", True),
        ("${{ lang == 'fr' }}", False),
        ("${{ '' }}", False),
        ("${{ none }}", False),
        ("${{ [] }}", False),
        ("${{ config.flag }}", False),
    ],
)
def test_when(world: World, when: str, runs: bool) -> None:
    found = world.good(
        f"""
        config:
          flag: 'NO'
        steps:
          - name: a
            foreach:
              lang:
                - en
            run: echo ${{{{ lang }}}}
            when: {when}
        """
    )
    assert found.instances[0].when is runs


def test_arguments_keep_text_lists_and_maps(world: World) -> None:
    found = world.good(
        """
        config:
          map:
            a: '1'
          list:
            - x
            - y
        steps:
          - name: a
            module: m
            function: f
            inputs: data/in.txt
            args:
              one: ${{ inputs }}
              count: ${{ 3 }}
              none: ${{ none }}
              both: "${{ 1 }}/${{ config.list }}"
              map: ${{ config.map }}
              list: ${{ config.list }}
              deep:
                items:
                  - ${{ config.list }}
                  - z
                  - k: ${{ inputs[0] }}
        """
    )
    assert found.instances[0].args == {
        "one": "data/in.txt",
        "count": "3",
        "none": "null",
        "both": "1/x y",
        "map": {"a": "1"},
        "list": ["x", "y"],
        "deep": {"items": ["x", "y", "z", {"k": "data/in.txt"}]},
    }


STEPS = """
steps:
  - name: all
    inputs:
      - ${{ steps.count.outputs }}
    run: cat ${{ inputs }} > ${{ outputs }}
    outputs: all.txt
  - name: count
    foreach:
      book:
        - moby
        - emma
      lang:
        - en
        - fr
    outputs: out/${{ book }}.${{ lang }}
    run: touch ${{ outputs }}
  - name: narrow
    inputs:
      - ${{ steps.count(lang='en').outputs }}
    run: 'true'
  - name: some
    inputs:
      - ${{ steps.count(book=['emma', 'moby'], lang='fr').outputs }}
    run: echo ${{ steps.count.outputs | length }} ${{ steps.narrow.inputs }}
"""


def test_steps_outputs_and_narrowing(world: World) -> None:
    found = world.good(STEPS)
    every = ["out/moby.en", "out/moby.fr", "out/emma.en", "out/emma.fr"]
    assert one(found, "all").inputs == every
    assert one(found, "all").command == "cat " + " ".join(every) + " > all.txt"
    assert one(found, "narrow").inputs == ["out/moby.en", "out/emma.en"]
    assert one(found, "some").inputs == ["out/moby.fr", "out/emma.fr"]
    assert one(found, "some").command == "echo 4 out/moby.en out/emma.en"


def test_steps_whose_names_are_no_identifiers(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: make-it.now
            outputs: o-1
            run: touch o-1
          - name: make
            outputs: o-2
            run: touch o-2
          - name: b
            inputs: ${{ steps.make-it.now.outputs }}
            run: x ${{ steps['make-it.now'].outputs }} ${{ steps.make.outputs }} ${{ 'steps.make-it.now.outputs' }}
        """
    )
    b = one(found, "b")
    assert b.inputs == ["o-1"] and b.command == "x o-1 o-2 steps.make-it.now.outputs"


def test_each_instance_may_read_what_its_neighbour_makes(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: chain
            foreach:
              n:
                range: 1..3
            inputs:
              - ${{ steps.chain(n=n | int - 1).outputs if n != '1' else 'seed' }}
            outputs: out/${{ n }}
            run: cp ${{ inputs }} ${{ outputs }}
        """
    )
    assert [i.inputs for i in found.instances] == [["seed"], ["out/1"], ["out/2"]]


def test_outputs_may_use_inputs(world: World) -> None:
    world.files("in/a.txt", "in/b.txt")
    found = world.good(
        """
        steps:
          - name: a
            inputs: in/*.txt
            outputs: out/${{ inputs | map('basename') | join('+') }}
            run: cat ${{ inputs }} > ${{ outputs }}
          - name: b
            inputs: ${{ steps.a.outputs }}
            run: x ${{ inputs }}
        """
    )
    assert outputs(found.instances[0]) == ["out/a.txt+b.txt"]
    assert found.instances[1].inputs == ["out/a.txt+b.txt"]


def test_circles_of_templates_are_an_error_once(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            outputs: ${{ steps.b.outputs }}.a
            run: x ${{ outputs }}
          - name: b
            outputs: ${{ steps.a.outputs }}.b
            run: x ${{ outputs }} ${{ steps.a.outputs }}
        """
    )
    assert len(problems) == 1
    assert "steps.a.outputs needs steps.b.outputs needs steps.a.outputs" in problems[0].message


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("bok", "`bok` is not defined", "`book`"),
        ("config.dir.x", "`x` is not defined", ""),
        ("config.dri", "`dri` is not defined", "`dir`"),
        ("inputs.tabel", "no path is called `tabel`", "`table`"),
        ("inputs[7]", "beyond the end", ""),
        ("env.HOM", "`HOM` is not defined", "`HOME`"),
        ("resources.cpus", "`cpus` is not defined", "`cpu`"),
        ("steps.al.outputs", "no step is called `al`", "`al2`"),
        ("steps.al2.output", "`output` is not defined", "`outputs`"),
        ("steps.al2", "write `steps.al2.outputs`", ""),
        ("steps.al2(lang='en').outputs", "no variable `lang`", ""),
        ("steps.a(book='zzz').outputs", "no instance of step `a`", ""),
        ("step.nam", "`nam` is not defined", "`name`"),
        ("config", "this is a map", ""),
        ("book | uper", "no filter is called `uper`", "`upper`"),
        ("book.uper()", "is not defined", ""),
        ("book +", "not an expression", ""),
        ("", "an empty expression", ""),
        ("1 // 0", "division by zero", ""),
        ("'x' * 10 ** 10", "characters", "limited"),
    ],
)
def test_what_is_wrong_with_an_expression(world: World, expression: str, message: str, hint: str) -> None:
    problems = world.bad(
        f"""
        config:
          dir: data
        env:
          HOME: x
        steps:
          - name: al2
            run: 'true'
          - name: a
            foreach:
              book:
                - moby
                - emma
            resources:
              cpu: '1'
            inputs:
              table: t.csv
            run: |
              echo one
              echo two ${{{{ 'fine' }}}} ${{{{ {expression} }}}}
        """
    )
    assert len(problems) == 1
    problem = problems[0]
    assert message in problem.message and hint in problem.hint
    assert str(problem.where) == "recipe.yaml:19:30"


def test_every_bad_expression_is_told_once_however_many_instances(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            foreach:
              n:
                range: 1..500
            inputs: in/${{ n }}
            outputs: out/${{ n }}
            run: |
              x ${{ nope }} ${{ config.nope }}
              y ${{ inputs[n | int] }}
              ${{ 'ok' }}
            env:
              A: ${{ config.nix }}
          - name: b
            run: echo ${{ also_nope }
        """
    )
    places = {str(p.where): p for p in problems}
    assert (
        list(places) == sorted(places, key=lambda p: [int(n) for n in p.split(":")[1:]]) or len(places) == 5
    )
    assert set(places) == {
        "recipe.yaml:9:9",
        "recipe.yaml:9:21",
        "recipe.yaml:10:9",
        "recipe.yaml:13:10",
        "recipe.yaml:15:15",
    }
    assert "499 more" in places["recipe.yaml:10:9"].hint
    assert "never closed" in places["recipe.yaml:15:15"].message


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("inputs", "x${{ outputs }}", "`outputs` is not known yet here"),
        ("inputs", "x${{ inputs }}", "`inputs` is not known yet here"),
        ("inputs", "x${{ attempt }}", "`attempt` is not known here"),
        ("outputs", "x${{ attempt }}", "`attempt` is not known here"),
        ("outputs", "x${{ outputs }}", "`outputs` is not known yet here"),
    ],
)
def test_what_is_not_known_yet_is_said(world: World, key: str, text: str, what: str) -> None:
    problems = world.bad(
        f"""
        steps:
          - name: a
            run: 'true'
            {key}: {text}
        """
    )
    assert len(problems) == 1 and what in problems[0].message and problems[0].where.line == 4  # type: ignore[union-attr]


def test_bad_names_are_found_in_steps_without_instances(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: none
            foreach:
              x:
                glob: nothing/${{ x }}.txt
            run: echo ${{ y }}
        """
    )
    assert len(problems) == 1 and "`y` is not defined" in problems[0].message


def test_rerender_changes_what_mentions_attempt(world: World) -> None:
    found = world.good(
        """
        steps:
          - name: a
            foreach:
              n:
                - '3'
            outputs: o${{ n }}
            resources:
              mem: ${{ attempt * n | int }}GB
            env:
              TRY: try ${{ attempt }}
            run: make ${{ resources.mem }} $TRY ${{ attempt }} > ${{ outputs }}
            timeout: ${{ 10 * attempt }}m
            priority: ${{ n }}
          - name: b
            run: echo
        """
    )
    a, b = found.instances
    again = found.rerender(a, 2)
    assert (a.command, a.timeout, a.resources) == (
        "make 3000000000 $TRY 1 > o3",
        600.0,
        {"mem": 3_000_000_000},
    )
    assert again.command == "make 6000000000 $TRY 2 > o3" and again.timeout == 1200.0
    assert again.resources == {"mem": 6_000_000_000} and again.env == {"TRY": "try 2"} and again.priority == 3
    assert again.outputs == a.outputs and again.name == a.name
    assert a.env == {"TRY": "try 1"}
    assert found.rerender(b, 2) is b


def test_a_fault_that_steps_inherit_is_told_once(world: World) -> None:
    (world.root / "sub.yaml").write_text("steps:\n  - name: s\n    run: 'true'\n")
    problems = world.bad(
        """
        env:
          A: ${{ config.nope }}
        shell: bash -${{ config.nix }}
        include: sub.yaml
        steps:
          - name: m
            run: 'true'
          - name: n
            run: 'true'
        """
    )
    assert sorted(str(p.where) for p in problems) == [
        "recipe.yaml:2:6",
        "recipe.yaml:3:14",
        "sub.yaml:2:5",
        "sub.yaml:2:5",
    ]


def test_temp_and_protected_may_be_templates(world: World) -> None:
    recipe = """
        config:
          t: 'yes'
        steps:
          - name: a
            outputs:
              - path: o1
                temp: ${{ config.t }}
              - path: ${{ 'o2' }}
                protected: ${{ config.t == 'yes' }}
            run: 'true'
        """
    found = world.good(recipe)
    assert [(o.path, o.temp, o.protected) for o in found.instances[0].outputs] == [
        ("o1", True, False),
        ("o2", False, True),
    ]
    (problem,) = world.bad(recipe.replace("t: 'yes'", "t: perhaps"))
    assert "yes or no" in problem.message and str(problem.where) == "recipe.yaml:7:15"


def test_one_broken_part_breaks_what_uses_it_silently(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            env:
              A: ${{ config.nope }}
            resources:
              mem: lots${{ 1 }}
            inputs: ${{ env.A }}/${{ resources.mem }}
            outputs: o/${{ inputs }}
            run: x ${{ env.A }} ${{ inputs }} ${{ outputs }} ${{ resources.mem }}
          - name: b
            inputs: ${{ steps.a.outputs }}
            run: x ${{ inputs }}
        """
    )
    assert [str(p.where) for p in problems] == ["recipe.yaml:4:10", "recipe.yaml:6:16"]


def test_env_may_go_round_in_no_circle(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            env:
              A: ${{ env.B }}
              B: ${{ env.A }}
            run: 'true'
        """
    )
    assert any("made from itself" in p.message for p in problems)


def env_of(*values: str) -> str:
    """A recipe with the variables V0, V1, … of these ``values``."""
    lines = [f"      V{n}: {value}" for n, value in enumerate(values)]
    return "\n".join(["steps:", "  - name: a", "    env:", *lines, "    run: 'true'"])


def test_a_long_circle_in_env_is_told_once(world: World) -> None:
    problems = world.bad(env_of(*(f"x${{{{ env.V{(n + 1) % 40} }}}}" for n in range(40))))
    assert [(str(p.where), p.message) for p in problems] == [
        ("recipe.yaml:43:13", "env.V0 is made from itself in `env.V0`")
    ]


def test_what_is_wrong_with_a_variable_is_told_beside_what_is_wrong_with_its_user(world: World) -> None:
    problems = world.bad(
        env_of("${{ env.V1 }} ${{ config.a }}", "${{ env.V2 }}", "${{ config.b }} ${{ config.c }}")
    )
    assert {(str(p.where), p.message) for p in problems} == {
        ("recipe.yaml:4:25", "`a` is not defined in `config.a`"),
        ("recipe.yaml:6:11", "`b` is not defined in `config.b`"),
        ("recipe.yaml:6:27", "`c` is not defined in `config.c`"),
    }


@pytest.mark.parametrize("expression", ["env.V{}", "env.V{} | int - 1", "env.V{} ~ 1"])
def test_variables_may_be_made_from_each_other_sixty_deep(world: World, expression: str) -> None:
    def chain(length: int) -> str:
        return env_of(*(f"${{{{ {expression.format(n + 1)} }}}}" for n in range(length)), "0")

    (instance,) = world.good(chain(60)).instances
    assert len(instance.env) == 61
    problems = world.bad(chain(140))
    assert "env.V60 ends a chain of more than 60 variables" in problems[0].message


def test_an_output_that_is_broken_in_one_instance_says_which(world: World) -> None:
    problems = world.bad(
        """
        steps:
          - name: a
            foreach:
              p:
                - fine
                - /abs
            outputs: ${{ p }}
            run: 'true'
        """
    )
    assert len(problems) == 1 and "absolute" in problems[0].message and "'/abs'" in problems[0].hint

"""Templates: what they know, how values are quoted, what they leave alone."""

from __future__ import annotations

import pytest

from tests.support.f0 import F0

ODD = 'it\'s "odd" $HOME `x` \\ *'


def test_values_are_quoted_for_the_shell(f0: F0) -> None:
    f0.recipe(
        f"config:\n  odd: {ODD!r}\n".replace("'it\\'s", "'it''s").replace("\\\\", "\\")
        + "  list:\n    - a b\n    - c;d\n"
        "steps:\n"
        "  - name: a\n    outputs: o\n    run: |\n"
        "      printf '%s\\n' ${{ config.odd }} > o\n"
        "      printf '%s\\n' ${{ config.list }} >> o\n"
        "      printf '%s\\n' ${{ 'a  b' | raw }} >> o\n"
        "      printf '%s\\n' x${{ 'a  b' }}y >> o\n"
        "      printf '%s\\n' ${{ 3 }} ${{ true }} ${{ 1.5 }} >> o\n"
    )
    f0.run()
    assert f0.read("o").splitlines() == [ODD, "a b", "c;d", "a", "b", "xa  by", "3", "True", "1.5"]


def test_plain_shell_text_needs_no_escaping(f0: F0) -> None:
    f0.write("in.txt", "one two\n")
    f0.recipe(
        "steps:\n  - name: a\n    inputs: in.txt\n    outputs: o\n    env:\n      X: x\n    run: |\n"
        "      awk '{print $1}' in.txt > o\n"
        "      echo ${X} $(echo sub) ${X:-y} ${#X} $((1 + 2)) >> o\n"
        "      echo '{{ config }} {% if x %} {# no comment #} %}' >> o\n"
        "      x=(a b); echo ${x[@]} ${#x[@]} >> o\n"
        "      echo '${ { x } }' \"$\" '$$' >> o  # ${ {\n"
    )
    f0.run()
    assert f0.read("o").splitlines() == [
        "one",
        "x sub x 1 3",
        "{{ config }} {% if x %} {# no comment #} %}",
        "a b 2",
        "${ { x } } $ $$",
    ]


def test_everything_that_a_template_knows(f0: F0) -> None:
    f0.write("a.txt", "")
    f0.write("b.txt", "")
    f0.recipe(
        "config:\n  c: cc\n"
        "steps:\n"
        "  - name: first\n    foreach:\n      lang:\n        - en\n        - de\n      n:\n        range: 1..2\n"
        "    outputs: ${{ lang }}/${{ n }}\n    run: touch ${{ outputs }}\n"
        "  - name: a.b-c\n    foreach:\n      x:\n        - X\n"
        "    inputs:\n      one: a.txt\n      two:\n        - b.txt\n        - a.txt\n"
        "    outputs:\n      out: o-${{ x }}\n      rest:\n        - r\n"
        "    env:\n      E: ee\n    resources:\n      tapes: 2\n    depends_on: first\n"
        "    run: |\n"
        "      printf '%s\\n' ${{ x }} ${{ config.c }} ${{ env.E }} ${{ inputs }} ${{ inputs.one }} ${{ inputs[1] }} > ${{ outputs.out }}\n"
        "      printf '%s\\n' ${{ inputs['two'] }} ${{ outputs }} ${{ outputs[0] }} ${{ resources.tapes }} >> ${{ outputs.out }}\n"
        "      printf '%s\\n' ${{ step.name }} ${{ step.instance }} ${{ attempt }} >> ${{ outputs.out }}\n"
        "      printf '%s\\n' ${{ steps.first.outputs }} >> ${{ outputs.out }}; touch r\n"
        "      printf '%s\\n' ${{ steps.first(lang='en').outputs }} ${{ steps.first(lang='de', n=2).outputs }} >> ${{ outputs.out }}\n"
        "      printf '%s\\n' ${{ steps['a.b-c'].outputs }} ${{ steps.first.outputs | length }} >> ${{ outputs.out }}\n"
    )
    f0.run()
    said = "X cc ee a.txt b.txt a.txt a.txt b.txt b.txt a.txt o-X r o-X 2 a.b-c a.b-c[x=X] 1 en/1 en/2 de/1 de/2 en/1 en/2 de/2"
    assert f0.read("o-X").split() == f"{said} o-X r 4".split()


def test_outputs_of_other_steps_as_inputs(f0: F0) -> None:
    """A list becomes as many items, in the order of the foreach; and it makes the edge."""
    f0.recipe(
        "steps:\n"
        "  - name: all\n    inputs:\n      - ${{ steps.make(lang='en').outputs }}\n      - last.txt\n    outputs: all\n"
        "    run: cat ${{ inputs }} > all; echo ${{ inputs | length }} >> all\n"
        "  - name: make\n    foreach:\n      lang:\n        - en\n        - de\n      n:\n        - b\n        - a\n"
        "    outputs: ${{ lang }}-${{ n }}\n    run: echo ${{ lang }} ${{ n }} > ${{ outputs }}\n"
        "  - name: last\n    outputs: last.txt\n    run: echo last > last.txt\n"
    )
    states = f0.run("all").states
    assert set(states) == {"make[lang=en,n=b]", "make[lang=en,n=a]", "last", "all"}
    assert f0.read("all") == "en b\nen a\nlast\n3\n"


def test_lists_in_paths_args_and_depends_on(f0: F0) -> None:
    f0.write(
        "work.py",
        "import json\ndef main(items: list[str], one: str):\n    json.dump([items, one], open('o', 'w'))\n",
    )
    f0.recipe(
        "config:\n  names:\n    - a\n    - b c\n  steps:\n    - first\n"
        "steps:\n"
        "  - name: first\n    outputs:\n      - ${{ config.names }}\n      - more\n"
        '    run: for f in ${{ outputs }}; do echo "$f" > "$f"; done\n'
        "  - name: second\n    depends_on:\n      - ${{ config.steps }}\n    module: work\n    function: main\n    outputs: o\n"
        "    args:\n      items: ${{ config.names }}\n      one: <${{ config.names[1] }}>\n"
    )
    assert set(f0.run().states.values()) == {"ran"}
    assert f0.read("o") == '[["a", "b c"], "<b c>"]' and f0.read("b c") == "b c\n"


def test_expressions(f0: F0) -> None:
    f0.recipe(
        "config:\n  n: 4\n  path: dir/name.tar.gz\n"
        "steps:\n  - name: a\n    outputs: o\n    run: |\n"
        "      echo ${{ config.n | int * 2 + 1 }} ${{ 'x' if config.n == '4' else 'y' }} > o\n"
        "      echo ${{ config.path.split('/')[-1] }} ${{ config.path | upper }} ${{ config.get('none', 'default') }} >> o\n"
        "      echo ${{ [1, 2, 3] | sum }} ${{ {'a': 'b'}.a }} ${{ '}}' }} ${{ \"q'q\" }} >> o\n"
        "      echo ${{ range(3) | list }} ${{ config.missing | default('fallback') }} >> o\n"
    )
    f0.run()
    assert f0.read("o").splitlines() == [
        "9 x",
        "name.tar.gz DIR/NAME.TAR.GZ default",
        "6 b }} q'q",
        "0 1 2 fallback",
    ]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("nothing", "nothing"),
        ("config.nothing", "nothing"),
        ("inputs.nothing", "nothing"),
        ("inputs[7]", "7"),
        ("env.NOTHING", "NOTHING"),
        ("steps.nothing.outputs", "nothing"),
        ("confg.c", "config"),
        ("config.c | no_such_filter", "no_such_filter"),
        ("1 +", ""),
        ("1 / 0", "zero"),
        ("", ""),
        ("'unclosed", ""),
        ("config.c |", ""),
        ("steps.a(lang='en').outputs", "lang"),
    ],
)
def test_errors_are_at_the_line_of_the_expression(f0: F0, expression: str, said: str) -> None:
    f0.write("in", "")
    f0.recipe(
        "config:\n  c: 1\nsteps:\n  - name: a\n    inputs: in\n    outputs: o\n    run: |\n"
        "      echo one\n      echo two\n"
        f"      echo 'three' ${{{{ {expression} }}}} > o\n      echo four\n"
    )
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:10:" in result.stderr and said in result.stderr, result.stderr
    assert f0("run", "recipe.yaml").code == 2 and not f0.exists("o")


def test_an_open_template_is_an_error(f0: F0) -> None:
    f0.recipe("steps:\n  - name: a\n    run: |\n      echo one\n      echo ${{ 1\n")
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:5:" in result.stderr


def test_templates_in_folded_and_quoted_text(f0: F0) -> None:
    f0.recipe(
        "config:\n  a: 1\nsteps:\n  - name: a\n    outputs: o\n    run: >-\n      echo ${{ config.a }}\n      two\n"
        "      > o\n  - name: b\n    outputs: p\n    run: \"echo '${{ 1 + 1 }}'\\tx > p\"\n"
    )
    f0.run()
    assert f0.read("o") == "1 two\n" and f0.read("p") == "2 x\n"
    f0.recipe("steps:\n  - name: a\n    run: >-\n      echo one\n      two ${{ nothing }}\n")
    assert "recipe.yaml:5:" in f0("validate", "recipe.yaml").stderr

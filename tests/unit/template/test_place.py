"""Every expression is found at its line and column, in whatever style the recipe writes its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from f0make.expand.disk_facts import DiskFacts
from f0make.expand.expansion import expand
from f0make.recipe.load_recipe import load_recipe
from f0make.template.expression_place import locate


@pytest.mark.parametrize(
    "text",
    [
        "run: echo ${{ nope }}",
        "run: 'echo ${{ nope }}'",
        'run: "echo \\t ${{ nope }}"',
        "run: |\n      first\n\n      echo ${{ nope }}",
        "run: |-\n      ${{ 'a' }} ${{ 'b' }}\n        ${{ nope }}",
        "run: >\n      folded\n      text ${{ nope }} here",
        "run: echo one\n      two ${{ 'x' }} three\n      four ${{ nope }}",
        "run: 'echo one\n\n      two ${{ nope }}'",
        "run: |\n      # ${{ 'comment' }} ${{ '${{' }}\n      x ${{ nope }}",
        "run: |2+\n      x\n      ${{ nope }}\n",
        "# ${{ not.this }}\n    run: |  # nor ${{this}}\n      x ${{ nope }}",
        "fingerprint:\n      - gcc\n      - |\n        x\n        y ${{ nope }}\n    run: 'true'",
        "args:\n      a:\n        - b: x ${{ nope }}\n    module: m\n    function: f",
        "inputs:\n      table:\n        - a\n        - b${{ nope }}\n    run: 'true'",
        "outputs:\n      - path: x${{ nope.x }}\n        temp: yes\n    run: 'true'",
        "foreach:\n      x:\n        - a\n        - b${{ nope }}\n    run: echo",
        "foreach:\n      x:\n        glob: a/${{ nope.y }}/${{ x }}\n    run: echo",
        "foreach:\n      x:\n        range: 1..${{ nope }}\n    run: echo",
        "env:\n      A: >-\n        x\n        ${{ nope }}\n    run: 'true'",
        "success:\n      exit_codes:\n        - ${{ nope }}\n    run: 'true'",
        "when: ${{ nope }}\n    run: 'true'",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_place_of_an_expression(tmp_path: Path, text: str, newline: str) -> None:
    recipe = f"# a comment with ${{{{ nothing }}}}\nsteps:\n  - name: a\n    {text}\n"
    recipe = recipe.replace("\n", newline)
    (tmp_path / "r.yaml").write_bytes(recipe.encode())
    found = expand(load_recipe("r.yaml", str(tmp_path)), DiskFacts(str(tmp_path)))
    before = recipe[: recipe.index("${{ nope")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert [str(p.where) for p in found.problems] == [f"r.yaml:{line}:{column}"]


def test_where_the_file_writes_the_text_otherwise_the_node_is_named() -> None:
    source = 'a: 1\nrun: "\\x24{{ x }}"\n'
    assert locate(source, (2, 6, 2), "${{ x }}", 0) == (2, 6)
    assert locate(source, (0, 0, 0), "${{ x }}", 0) == (0, 0)
    assert locate(source, (9, 1, 12), "${{ x }}", 0) == (9, 1)

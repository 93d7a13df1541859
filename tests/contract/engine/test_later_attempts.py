"""Retries: what another attempt is rendered to, with the types that the code asks for."""

from __future__ import annotations

from tests.support.f0 import F0


def test_arguments_have_their_types_in_every_attempt(f0: F0) -> None:
    f0.write(
        "again.py",
        "from pathlib import Path\n"
        "def go(n: int, where: Path, pair: tuple[int, str]) -> int:\n"
        "    with open('seen.txt', 'a') as seen:\n"
        "        print(repr(n), repr(where), repr(pair), file=seen)\n"
        "    return 2 - n\n",
    )
    f0.recipe(
        "steps:\n"
        "  - name: go\n"
        "    module: again\n"
        "    function: go\n"
        "    retries: 1\n"
        "    args:\n"
        "      n: ${{ attempt }}\n"
        "      where: a/b\n"
        "      pair:\n"
        "        - 1\n"
        "        - x\n"
    )
    assert f0.run().states == {"go": "ran"}
    assert f0.read("seen.txt").splitlines() == [
        "1 PosixPath('a/b') (1, 'x')",
        "2 PosixPath('a/b') (1, 'x')",
    ]


def test_an_argument_that_does_not_fit_a_later_attempt_fails_the_step(f0: F0) -> None:
    f0.write("again.py", "def go(n: int) -> int:\n    return 1\n")
    f0.recipe(
        "steps:\n"
        "  - name: go\n"
        "    module: again\n"
        "    function: go\n"
        "    retries: 1\n"
        "    args:\n"
        "      n: ${{ 1 if attempt == 1 else 'many' }}\n"
    )
    result = f0.run(code=1)
    assert result.states == {"go": "failed"}
    assert "attempt 2" in result.reasons["go"] and "'many' is not an integer" in result.reasons["go"]


def test_a_template_that_fails_in_a_later_attempt_fails_the_step(f0: F0) -> None:
    f0.recipe(
        "steps:\n"
        "  - name: go\n"
        "    retries: 1\n"
        "    outputs: out.txt\n"
        "    run: echo ${{ ['first'][attempt - 1] }}; false\n"
    )
    result = f0.run(code=1)
    assert result.states == {"go": "failed"}
    assert "beyond the end" in result.reasons["go"]


def test_required_context_keys_may_hold_templates(f0: F0) -> None:
    f0.write("keys.py", "def go(ctx, key):\n    ctx.set(key, 1)\n")
    f0.recipe(
        "steps:\n"
        "  - name: go\n"
        "    foreach:\n"
        "      book:\n"
        "        - moby\n"
        "    module: keys\n"
        "    function: go\n"
        "    args:\n"
        "      key: words.${{ book }}\n"
        "    success:\n"
        "      ctx_has_keys: words.${{ book }}\n"
    )
    assert f0.run().states == {"go[book=moby]": "ran"}
    f0.recipe(f0.read("recipe.yaml").replace("ctx_has_keys: words", "ctx_has_keys: pages"))
    assert "pages.moby" in f0.run(code=1).reasons["go[book=moby]"]

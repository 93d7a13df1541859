"""One description of a graph, written out for every tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WIDTH = 100
"""Instances in one layer of the shapes ``wide`` and ``deep``."""


@dataclass(frozen=True)
class Workload:
    """``size`` instances in a shape; each copies its first need (or its own source file) to its output.

    Shapes: ``flat``, ``chain``, ``layers`` (100 wide), ``fanin`` (the last one concatenates all others),
    ``literal`` (flat, but with one written-out step for each instance).
    """

    shape: str
    size: int

    @property
    def name(self) -> str:
        """For directories and messages."""
        return f"{self.shape}-{self.size}"

    def edges(self) -> list[list[int]]:
        """For each instance the instances whose outputs it reads."""
        if self.shape in ("flat", "literal"):
            return [[] for _ in range(self.size)]
        if self.shape == "chain":
            return [[n - 1] if n else [] for n in range(self.size)]
        if self.shape == "layers":
            return [[n - WIDTH] if n >= WIDTH else [] for n in range(self.size)]
        if self.shape == "fanin":
            return [[] for _ in range(self.size - 1)] + [list(range(self.size - 1))]
        raise ValueError(self.shape)


def sources(n: int, needs: list[int]) -> list[str]:
    """What instance ``n`` reads."""
    return [f"out/{m}.txt" for m in needs] or [f"in/{n}.txt"]


def write_inputs(work: Workload, place: Path) -> None:
    """One small source file for each instance that reads no other."""
    (place / "in").mkdir(parents=True)
    (place / "out").mkdir()
    for n, needs in enumerate(work.edges()):
        if not needs:
            (place / "in" / f"{n}.txt").write_text(f"{n}\n")


def _command(n: int, needs: list[int]) -> str:
    read = " ".join(sources(n, needs))
    return f"cat {read} > out/{n}.txt" if len(needs) > 1 else f"cp {read} out/{n}.txt"


def write_ninja(work: Workload, place: Path) -> None:
    """`build.ninja`."""
    lines = ["rule cp", "  command = cp $in $out", "rule cat", "  command = cat $in > $out"]
    for n, needs in enumerate(work.edges()):
        rule = "cat" if len(needs) > 1 else "cp"
        lines.append(f"build out/{n}.txt: {rule} {' '.join(sources(n, needs))}")
    (place / "build.ninja").write_text("\n".join(lines) + "\n")


def write_make(work: Workload, place: Path) -> None:
    """`Makefile`."""
    lines = [f"all: {' '.join(f'out/{n}.txt' for n in range(work.size))}"]
    for n, needs in enumerate(work.edges()):
        lines += [f"out/{n}.txt: {' '.join(sources(n, needs))}", f"\t{_command(n, needs)}"]
    (place / "Makefile").write_text("\n".join(lines) + "\n")


def write_doit(work: Workload, place: Path) -> None:
    """`dodo.py`, with doit's content check (its default)."""
    lines = ["DOIT_CONFIG = {'verbosity': 0}", "def task_copy():"]
    if work.shape == "flat":
        lines += [
            f"    for n in range({work.size}):",
            "        read, made = f'in/{n}.txt', f'out/{n}.txt'",
            "        yield {'name': str(n), 'actions': [f'cp {read} {made}'],",
            "               'file_dep': [read], 'targets': [made]}",
        ]
    else:
        for n, needs in enumerate(work.edges()):
            lines.append(
                f"    yield {{'name': '{n}', 'actions': [{_command(n, needs)!r}], "
                f"'file_dep': {sources(n, needs)!r}, 'targets': ['out/{n}.txt']}}"
            )
    (place / "dodo.py").write_text("\n".join(lines) + "\n")


def write_snakemake(work: Workload, place: Path) -> None:
    """`Snakefile`: one rule with a wildcard for a flat graph, one rule for each step otherwise."""
    lines = [f"rule all:\n    input: expand('out/{{n}}.txt', n=range({work.size}))"]
    if work.shape == "flat":
        lines.append(
            "rule copy:\n    input: 'in/{n}.txt'\n    output: 'out/{n}.txt'\n    shell: 'cp {input} {output}'"
        )
    else:
        for n, needs in enumerate(work.edges()):
            lines.append(
                f"rule s{n}:\n    input: {sources(n, needs)!r}\n    output: 'out/{n}.txt'\n"
                f"    shell: {_command(n, needs)!r}"
            )
    (place / "Snakefile").write_text("\n".join(lines) + "\n")


def write_redun(work: Workload, place: Path) -> None:
    """`workflow.py`: one call of a script task for each instance (flat graphs only)."""
    (place / "workflow.py").write_text(
        "from redun import task, script, File\n"
        "redun_namespace = 'bench'\n"
        "@task()\n"
        "def copy(read: File, n: int):\n"
        "    return script(f'cp {read.path} out/{n}.txt', outputs=File(f'out/{n}.txt'))\n"
        "@task()\n"
        "def main():\n"
        f"    return [copy(File(f'in/{{n}}.txt'), n) for n in range({work.size})]\n"
    )


def write_f0make(work: Workload, place: Path) -> None:
    """`recipe.yaml`: a `foreach` recipe, literal steps for the shape ``literal``."""
    (place / "recipe.yaml").write_text(_recipe(work))


def _recipe(work: Workload) -> str:
    if work.shape == "literal":
        lines = ["steps:"]
        for n in range(work.size):
            lines += [
                f"  - name: s{n}",
                f"    inputs: in/{n}.txt",
                f"    outputs: out/{n}.txt",
                f"    run: cp in/{n}.txt out/{n}.txt",
            ]
        return "\n".join(lines) + "\n"
    last = work.size - 1
    if work.shape == "flat":
        return "steps:\n" + _copies("copy", "0", str(last), "in/${{ n }}.txt")
    if work.shape == "fanin":
        return (
            "steps:\n"
            + _copies("copy", "0", str(last - 1), "in/${{ n }}.txt")
            + "  - name: gather\n"
            + "    inputs: ${{ steps.copy.outputs }}\n"
            + f"    outputs: out/{last}.txt\n"
            + "    run: cat ${{ inputs }} > ${{ outputs }}\n"
        )
    step = 1 if work.shape == "chain" else WIDTH
    return (
        "steps:\n"
        + _copies("first", "0", str(step - 1), "in/${{ n }}.txt")
        + _copies("copy", str(step), str(last), f"out/${{{{ n | int - {step} }}}}.txt")
    )


def _copies(name: str, first: str, last: str, source: str) -> str:
    return (
        f"  - name: {name}\n"
        "    foreach:\n"
        "      n:\n"
        f"        range: {first}..{last}\n"
        f"    inputs: {source}\n"
        "    outputs: out/${{ n }}.txt\n"
        "    run: cp ${{ inputs }} ${{ outputs }}\n"
    )


WRITERS = {
    "f0make": write_f0make,
    "ninja": write_ninja,
    "make": write_make,
    "doit": write_doit,
    "snakemake": write_snakemake,
    "redun": write_redun,
}


def check_outputs(work: Workload, place: Path) -> None:
    """Raise AssertionError unless every output holds what it must."""
    texts: list[str] = []
    for n, needs in enumerate(work.edges()):
        expected = "".join(texts[m] for m in needs) if needs else (place / "in" / f"{n}.txt").read_text()
        found = (place / "out" / f"{n}.txt").read_text()
        assert found == expected, (n, found[:80], expected[:80])
        texts.append(expected)


def pretend_built(work: Workload, place: Path) -> None:
    """Bring ninja in ``place`` to where it has nothing to do without running anything: it trusts its log and stamps."""
    build = place / "build.ninja"
    # A generator rule is not run again for a command line that its log does not know.
    build.write_text(build.read_text().replace("rule cp\n", "rule cp\n  generator = 1\n"))
    for n in range(work.size):
        (place / "out" / f"{n}.txt").write_text(f"{n}\n")

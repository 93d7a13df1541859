"""One description of a graph, written out for every tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workload:
    """``size`` instances in a shape; each copies its input (or the outputs it needs) to its output."""

    name: str
    size: int
    shape: str

    def edges(self) -> list[list[int]]:
        """For each instance the instances whose outputs it reads."""
        if self.shape == "flat":
            return [[] for _ in range(self.size)]
        if self.shape == "chain":
            return [[n - 1] if n else [] for n in range(self.size)]
        raise ValueError(self.shape)


def write_inputs(work: Workload, place: Path) -> None:
    """One small source file for each instance that reads no other."""
    (place / "in").mkdir(parents=True)
    (place / "out").mkdir()
    for n, needs in enumerate(work.edges()):
        if not needs:
            (place / "in" / f"{n}.txt").write_text(f"{n}\n")


def source_of(n: int, needs: list[int]) -> str:
    """What instance ``n`` reads."""
    return f"out/{needs[0]}.txt" if needs else f"in/{n}.txt"


def write_ninja(work: Workload, place: Path) -> None:
    """`build.ninja`."""
    lines = ["rule cp", "  command = cp $in $out"]
    lines += [f"build out/{n}.txt: cp {source_of(n, needs)}" for n, needs in enumerate(work.edges())]
    (place / "build.ninja").write_text("\n".join(lines) + "\n")


def write_make(work: Workload, place: Path) -> None:
    """`Makefile`."""
    outputs = " ".join(f"out/{n}.txt" for n in range(work.size))
    lines = [f"all: {outputs}"]
    for n, needs in enumerate(work.edges()):
        source = source_of(n, needs)
        lines += [f"out/{n}.txt: {source}", f"\tcp {source} out/{n}.txt"]
    (place / "Makefile").write_text("\n".join(lines) + "\n")


def write_f0make(work: Workload, place: Path, literal: bool = False) -> None:
    """`recipe.yaml`: one `foreach` step for a flat graph, literal steps otherwise or on request."""
    if work.shape == "flat" and not literal:
        (place / "recipe.yaml").write_text(
            "steps:\n"
            "  - name: copy\n"
            "    foreach:\n"
            "      n:\n"
            f"        range: 0..{work.size - 1}\n"
            "    inputs: in/${{ n }}.txt\n"
            "    outputs: out/${{ n }}.txt\n"
            "    run: cp ${{ inputs }} ${{ outputs }}\n"
        )
        return
    lines = ["steps:"]
    for n, needs in enumerate(work.edges()):
        source = source_of(n, needs)
        lines += [
            f"  - name: s{n}",
            f"    inputs: {source}",
            f"    outputs: out/{n}.txt",
            f"    run: cp {source} out/{n}.txt",
        ]
    (place / "recipe.yaml").write_text("\n".join(lines) + "\n")


def check_outputs(work: Workload, place: Path) -> None:
    """Raise AssertionError unless every output holds what it must."""
    for n, needs in enumerate(work.edges()):
        root = n
        if needs:
            root = 0
        expected = f"{root}\n"
        found = (place / "out" / f"{n}.txt").read_text()
        assert found == expected, (n, found, expected)

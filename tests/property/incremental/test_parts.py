"""The packed forms in which the graph is kept beside a snapshot: what goes in comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from f0make.incremental import packed_lists
from f0make.incremental.pack_instance import Unpacker, pack
from f0make.incremental.path_index import direct, made, nodes, owners_of
from f0make.model import Instance, Output, Step, Success

STEPS = [
    Step(name="a", file="r.yaml", marks={}, type="shell", idx=3, success=Success(["k"])),
    Step(name="b", file="r.yaml", marks={}, type="python"),
    Step(name="c", file="other.yaml", marks={}),
]
texts = st.sampled_from(["", "x", "y", "caf\xe9", "n\nl", "\udcff"])


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    path = draw(texts)
    return Instance(
        name=draw(texts),
        step=draw(st.sampled_from(STEPS)),
        variables={"v": path},
        inputs=draw(st.lists(texts, max_size=2)),
        outputs=[
            Output(p, draw(st.booleans()), draw(st.booleans())) for p in draw(st.lists(texts, max_size=2))
        ],
        command=draw(st.none() | texts),
        env=draw(st.dictionaries(texts, texts, max_size=1)),
        timeout=draw(st.none() | st.sampled_from([1.0, 2.5])),
        when=draw(st.booleans()),
    )


@given(st.lists(instances(), max_size=8))
def test_every_row_can_be_read_alone(given: list[Instance]) -> None:
    steps, rows = pack(given)
    assert len(rows) == len(given) and len(steps) == len({i.step.name for i in given})
    for instance, row in list(zip(given, rows, strict=True))[::-1]:
        found = Unpacker(steps).unpack(memoryview(row))
        assert (found.step.name, found.step.file, found.step.type, found.step.idx) == (
            instance.step.name,
            instance.step.file,
            instance.step.type,
            instance.step.idx,
        )
        assert found.step.success.ctx_has_keys == instance.step.success.ctx_has_keys
        found.step = instance.step
        assert found == instance


@given(st.lists(st.sets(st.integers(0, 0xFFFF_FFFF), max_size=4), max_size=6))
def test_lists_come_out_as_they_went_in(given: list[set[int]]) -> None:
    found = packed_lists.Lists(packed_lists.pack(given))
    assert [sorted(found[n]) for n in range(len(found))] == [sorted(numbers) for numbers in given]


def test_a_path_belongs_to_whoever_names_it_or_a_directory_around_it() -> None:
    step = STEPS[2]
    named = [
        Instance("0", step, {}, ["d", "/abs/d"], [Output("out/a")]),
        Instance("1", step, {}, ["out/a", "d/e/f"], [Output("tree", directory=True)]),
        Instance("2", step, {}, ["tree/x"], []),
    ]
    known = direct(enumerate(named), {2: ["d/e/hidden"]}, lambda path: ())
    paths = ["d", "d/e/f", "d/e/hidden", "d/e", "out/a", "out", "tree/x", "tree/y/z", "/abs/d/f", "/abs", "o"]
    found = dict(zip(paths, map(set, owners_of(paths, known)), strict=True))
    assert found == {
        "d": {0},
        "d/e/f": {0, 2},
        "d/e/hidden": {0, 4},
        "d/e": {0},
        "out/a": {1, 2},
        "out": set(),
        "tree/x": {3, 4},
        "tree/y/z": {3},
        "/abs/d/f": {0},
        "/abs": set(),
        "o": set(),
    }
    assert made(found["tree/y/z"]) and not made(found["d"])
    assert nodes(found["d/e/hidden"]) == {0, 2}
    everywhere = direct([(7, Instance("7", step, {}, ["."], []))], {}, lambda path: ())
    assert [set(s) for s in owners_of(["a/b", "c", "/else"], everywhere)] == [{14}, {14}, set()]

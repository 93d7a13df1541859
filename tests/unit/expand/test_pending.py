"""`after:`: steps whose files are not known yet, and all that need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.expand_world import World, names, one


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


RECIPE = """
steps:
  - name: split
    inputs: big.txt
    outputs: chunks/
    run: split
  - name: count
    foreach:
      c:
        glob: chunks/${{ c }}.txt
        after: split
    outputs: counts/${{ c }}.n
    run: wc
  - name: by_steps
    inputs: ${{ steps.count.outputs }}
    outputs: sum
    run: cat
  - name: by_glob
    inputs: counts/*.n
    run: cat
  - name: by_foreach
    foreach:
      n:
        glob: counts/${{ n }}.n
    run: cat ${{ n }}
  - name: by_path
    inputs: counts/a.n
    run: cat
  - name: by_run
    run: cat ${{ steps.count.outputs }}
  - name: by_depends
    depends_on: count
    run: cat
  - name: by_second_hand
    inputs: sum
    run: cat
  - name: by_pattern
    inputs: counts/a.gz
    run: cat
  - name: gz
    inputs: ${{ x }}.n
    outputs: ${{ x }}.gz
    run: gzip
  - name: free
    inputs: other/*.n
    run: 'true'
wildcards:
  x: .+
"""


def test_what_needs_a_waiting_step_waits_too(world: World) -> None:
    world.files("big.txt", "other/x.n")
    world.file("counts/a.n", made_by="count[c=a]")
    world.file("chunks/a.txt", made_by="split")
    found = world.good(RECIPE)
    assert names(found) == ["split", "free"]
    waiting = "by_depends by_foreach by_glob by_path by_pattern by_run by_second_hand by_steps count"
    assert sorted(found.pending) == waiting.split()
    assert set(found.pending.values()) == {"split"}
    assert found.warnings == []


def test_the_graph_grows_when_the_step_is_finished(world: World) -> None:
    world.files("big.txt", "other/x.n", "chunks/a.txt", "chunks/b.txt")
    found = world.good(RECIPE, finished=("split",))
    assert found.pending == {}
    assert names(found)[:4] == ["split", "count[c=a]", "count[c=b]", "by_steps"]
    for name in ("by_steps", "by_glob"):
        assert one(found, name).inputs == ["counts/a.n", "counts/b.n"]
    assert names(found)[5:7] == ["by_foreach[n=a]", "by_foreach[n=b]"]
    assert one(found, "by_run").command == "cat counts/a.n counts/b.n"
    assert "gz[x=counts/a]" in names(found)


def test_what_the_awaited_step_needs_does_not_wait(world: World) -> None:
    world.files("in/a.txt")
    found = world.good(
        """
        steps:
          - name: before
            inputs: "*/*.txt"
            outputs: big
            run: cat
          - name: split
            inputs: big
            outputs: chunks/
            run: split
          - name: count
            foreach:
              c:
                glob: chunks/${{ c }}
                after: split
            outputs: in/${{ c }}.txt
            run: wc
        """
    )
    assert found.pending == {"count": "split"} and names(found) == ["before", "split"]


def test_waiting_in_two_stages(world: World) -> None:
    recipe = """
        steps:
          - name: one
            outputs: d1/
            run: one
          - name: two
            foreach:
              x:
                glob: d1/${{ x }}
                after: one
            outputs: d2/${{ x }}/
            run: two
          - name: three
            foreach:
              "x, y":
                glob: d2/${{ x }}/${{ y }}
                after: two
            run: three
        """
    assert world.good(recipe).pending == {"two": "one", "three": "two"}
    world.files("d1/a")
    assert world.good(recipe, finished=("one",)).pending == {"three": "two"}
    world.files("d2/a/b")
    found = world.good(recipe, finished=("one", "two"))
    assert names(found) == ["one", "two[x=a]", "three[x=a,y=b]"]


def test_a_users_file_is_no_reason_to_wait(world: World) -> None:
    world.files("counts/mine.n")
    found = world.good(
        """
        steps:
          - name: split
            outputs: chunks/
            run: split
          - name: count
            foreach:
              c:
                glob: chunks/${{ c }}.txt
                after: split
            outputs: counts/${{ c }}.n
            run: wc
          - name: uses
            inputs: counts/mine.n
            run: cat
        """
    )
    assert found.pending == {"count": "split"} and one(found, "uses").inputs == ["counts/mine.n"]

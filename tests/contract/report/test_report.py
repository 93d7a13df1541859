"""`f0make report`: the page says what happened, holds whatever names hold, and loads nothing from anywhere."""

from __future__ import annotations

import html.parser
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.report.page import MOST_ROWS, page
from f0make.report.run_facts import Row, by_step
from f0make.report.timeline import CELLS, MOST_LANES, timeline
from tests.support.f0 import F0

VOID = {"meta", "input", "br", "link"}


class Page(html.parser.HTMLParser):
    """What a page holds; fails on tags that do not close each other."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        """Text by the innermost enclosing tag that has an id, else the tag's name."""
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        about = dict(attrs)
        self.tags.append((tag, about))
        if tag not in VOID:
            self._open.append((tag, about.get("id") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        assert self._open and self._open.pop()[0] == tag, (tag, self._open)

    def handle_data(self, data: str) -> None:
        """Text belongs to all that encloses it."""
        for tag, name in self._open:
            self.text[name or tag] = self.text.get(name or tag, "") + data

    def classes(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a class."""
        return [about for _, about in self.tags if name in (about.get("class") or "").split()]


def checked(text: str) -> Page:
    """The page, after what holds for every page."""
    found = Page(text)
    assert [tag for tag, _ in found.tags].count("script") == 1
    for tag, about in found.tags:
        assert not about.keys() & {"src", "action", "srcset", "data"}, (tag, about)
        assert not any(name.startswith("on") for name in about)
        href = about.get("href")
        assert href is None or href.startswith("#")
    names = {about["id"] for _, about in found.tags if about.get("id")}
    assert {str(about["href"])[1:] for tag, about in found.tags if tag == "a"} <= names
    assert any("default-src 'none'" in (about.get("content") or "") for _, about in found.tags)
    assert "url(http" not in text and "@import" not in text
    return found


def test_the_page_tells_what_became_of_everything_and_what_it_took(f0: F0) -> None:
    f0.recipe(
        "test_meta:\n  test_id: T-42\n  tester: Ann <b>\nsteps:\n  - name: make\n    foreach:\n      n:\n        range: 1..3\n"
        "    outputs: o/${{ n }}\n    run: printf '\\033[31mfrom %s\\033[0m\\n' ${{ n }}; touch ${{ outputs }}\n"
        "  - name: bad\n    inputs: o/1\n    outputs: b\n    run: echo '</pre><script>alert(1)</script>'; exit 3\n"
        "  - name: later\n    inputs: b\n    outputs: c\n    run: touch c\n"
    )
    f0.run("-k", "--energy", "--country=FRA", code=1)
    result = f0("report", "recipe.yaml", "-o", "r.html")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    found = checked(f0.read("r.html"))
    assert f0("report").stdout.partition("<footer")[0] == f0.read("r.html").partition("<footer")[0]
    assert len(found.classes("node")) == 5
    assert len(found.classes("bar")) == 4
    assert {" ".join(about["class"].split()[:2]) for about in found.classes("bar")} == {
        "bar ran",
        "bar failed",
    }
    assert "make[n=2]" in found.text["rows"] and "exit code 3" in found.text["rows"]
    assert "later" in found.text["rows"]
    assert "</pre><script>alert(1)</script>" in found.text["logs"] and "from 3\n" in found.text["logs"]
    assert "\x1b" not in f0.read("r.html") and "u001b" not in f0.read("r.html")
    for word in (
        "T-42",
        "Ann <b>",
        "3 ran",
        "1 failed",
        "1 cancelled",
        "Energy",
        "56.0 g/kWh",
        "model (",
        " J",
    ):
        assert word in found.text["main"], word


def test_any_name_is_shown_and_none_does_anything(f0: F0) -> None:
    names = [
        "<script>x</script>",
        "q\"uo'te & {{ 1 + 1 }}",
        "día 日本",
        "line\nbreak",
        "--></style>",
        "tab\tx",
    ]
    for name in names:
        f0.write(f"in/{name.replace('/', '|')}", "x")
    with open(os.path.join(os.fsencode(f0.workspace), b"in", b"raw\xff\xfe"), "wb"):
        pass
    f0.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        glob: in/${{ n }}\n"
        "    inputs: in/${{ n }}\n    run: printf '\\377%s\\n' ${{ n }}\n",
        'a <b> & "c".yaml',
    )
    states = f0.run(recipe='a <b> & "c".yaml').states
    assert f0("report", "-o", "r.html").code == 0
    text = (f0.workspace / "r.html").read_bytes().decode("utf-8")
    found = checked(text)
    assert len(states) == len(names) + 1
    for name in states:
        assert "raw" in name or name in found.text["rows"]
    assert "s[n=raw\\xff\\xfe]" in found.text["rows"]
    assert "\\xffraw\\xff\\xfe\n" in found.text["logs"]
    assert 'a <b> & "c".yaml' in found.text["h1"]


def test_a_run_that_its_budget_ended_says_what_is_left(f0: F0) -> None:
    f0.recipe(
        "budget:\n  time: 4s\nsteps:\n  - name: s\n    foreach:\n      n:\n        range: 1..3\n"
        "    outputs: o${{ n }}\n    run: touch ${{ outputs }}; sleep 2.2\n"
    )
    f0.run("-j1", code=3)
    found = checked(f0("report").stdout)
    assert "The time budget ended the run" in found.text["header"]
    assert "The rest (2 instances)" in found.text["header"]
    f0.recipe("steps:\n  - name: other\n    run: [\n")
    gone = checked(f0("report").stdout)
    assert "no drawing" in gone.text["graph"] and "s[n=1]" in gone.text["rows"]


def test_what_the_cache_saved_is_told(f0: F0) -> None:
    f0.recipe("steps:\n  - name: s\n    outputs: o\n    run: sleep 0.2; touch o\n")
    f0.run()
    (f0.workspace / "o").unlink()
    f0.run()
    found = checked(f0("report").stdout)
    assert "Saved by the cache" in found.text["main"] and "1 restored" in found.text["main"]
    assert "Nothing ran." in found.text["timeline"]
    f0.run()
    f0.run()
    found = checked(f0("report").stdout)
    assert "1 current" in found.text["main"] and "Saved by the cache" in found.text["main"]
    assert "current" in found.text["rows"] and len(found.classes("current")) > 2


@pytest.mark.parametrize("args", [(), ("recipe.yaml",)])
def test_without_a_run_there_is_nothing_to_report(f0: F0, args: tuple[str, ...]) -> None:
    f0.recipe("steps:\n  - name: s\n    run: touch o\n")
    result = f0("report", *args, "-o", "r.html")
    assert result.code == 2 and result.stderr.count("\n") == 1
    assert not f0.exists("r.html") and not f0.exists(".f0make")


def test_a_file_that_cannot_be_written_is_named(f0: F0) -> None:
    f0.recipe("steps:\n  - name: s\n    run: touch o\n")
    f0.run()
    result = f0("report", "-o", "none/r.html")
    assert result.code == 2 and result.stderr == "f0make: report -o none/r.html: No such file or directory\n"


def large(count: int) -> list[Row]:
    return [
        Row(
            f"s[n={n}]",
            "s",
            "failed" if n % 1000 == 1 else "ran",
            "",
            100 + (n // 4) * 0.01,
            0.01,
            0.01,
            1,
            1,
            1,
        )
        for n in range(count)
    ]


def test_the_page_of_a_large_run_stays_small(tmp_path: Path) -> None:
    rows = large(10_000)
    run = {
        "recipe": "r",
        "run": "x",
        "status": "failed",
        "ran": 9990,
        "failed": 10,
        "started": 1.0,
        "seconds": 9.0,
    }
    text = page(run, rows, str(tmp_path), ("", "too many"))
    found = checked(text)
    assert len(text) < 1_500_000
    assert len(found.classes("bar")) < 2 * CELLS
    body = found.text["rows"]
    assert body.count("s[n=") == MOST_ROWS and body.count("failed") == 10
    assert "500 of 10,000" in found.text["instances"]
    assert "9,990 ran" in found.text["steps"]


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 10), st.sampled_from(["", "h1"])), min_size=1, max_size=60
    )
)
def test_bars_lie_within_their_lanes_and_do_not_overlap(runs: list[tuple[float, float, str]]) -> None:
    rows = [
        Row(f"s[n={n}]", "s", "ran", started=began, seconds=took, host=host)
        for n, (began, took, host) in enumerate(runs)
    ]
    found = timeline(rows)
    assert found is not None and len(found.lanes) <= MOST_LANES
    assert sum(bar.count for lane in found.lanes for bar in lane.bars) == len(rows)
    slack = 100 * 2.1e-3 / found.span
    for lane in found.lanes:
        assert all(bar.left >= -1e-6 and bar.left + bar.width <= 100 + 1e-6 for bar in lane.bars)
        for before, after in zip(lane.bars, lane.bars[1:], strict=False):
            assert before.left + before.width <= after.left + slack


def test_steps_are_summed_and_what_was_not_measured_stays_open() -> None:
    rows = [
        Row("a[n=1]", "a", "ran", seconds=1.0, peak_mem=5, energy_kwh=0.5),
        Row("a[n=2]", "a", "ran", seconds=3.0, peak_mem=9, energy_kwh=0.25),
        Row("b", "b", "cancelled"),
    ]
    first, second = by_step(rows)
    assert (first.states, first.seconds, first.longest, first.peak_mem) == ({"ran": 2}, 4.0, 3.0, 9)
    assert first.energy_kwh == 0.75
    assert (second.states, second.seconds, second.energy_kwh) == ({"cancelled": 1}, None, None)


def test_what_an_older_version_wrote_of_a_run_is_enough(tmp_path: Path) -> None:
    found = checked(
        page({"recipe": "r", "energy_kwh": 1.0, "rest": {}, "status": "budget"}, [], str(tmp_path), ("", ""))
    )
    assert "1 kWh" in found.text["main"]

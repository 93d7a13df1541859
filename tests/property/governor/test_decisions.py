"""The governor's decisions: budgets, predictions, admission, reaction, attribution; and counters in a made-up tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.electricity.intensity import intensity
from f0make.electricity.intensity_table import INTENSITY
from f0make.errors import UsageError
from f0make.governor import admit, react
from f0make.governor import machine_state as machine
from f0make.governor.attribute import Ledger
from f0make.governor.budget import Budget, budget_of
from f0make.governor.energy_meter import Meter
from f0make.governor.energy_model import PowerModel, model_of, simplified
from f0make.governor.predict import DEFAULT_MEM, Estimate, Moments, Need, Predictor
from f0make.governor.rapl import Rapl
from f0make.model import Instance, Step
from f0make.options import RunOptions
from f0make.store.log_index import Stats


def instance(name: str = "a", **resources: float) -> Instance:
    step = Step(name=name.partition("[")[0], file="r.yaml", marks={})
    return Instance(name=name, step=step, variables={}, inputs=[], outputs=[], resources=dict(resources))


def need(seconds: float = 1.0, cores: float = 1.0, mem: float = 0.0, energy: float = 0.0) -> Need:
    def known(value: float) -> Estimate:
        return Estimate(value, 0.0, "history")

    return Need(known(seconds), known(seconds * cores), known(cores), known(mem), known(energy))


def predictor(own: dict[str, Stats], step: dict[str, list[Stats]] | None = None) -> Predictor:
    return Predictor(own.get, lambda name: (step or {}).get(name, []), lambda cpu: cpu * 1e-6)


# Budgets


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("max_cpu", "80"),
        ("max_cpu", "120%"),
        ("max_mem", "5XB"),
        ("max_mem", "0"),
        ("max_load", "-1"),
        ("max_time", "2 weeks"),
        ("max_time", "0s"),
        ("max_energy", "5"),
        ("max_energy", "0kWh"),
        ("max_carbon", "50l"),
        ("country", "FR"),
        ("country", "XXX"),
    ],
)
def test_a_wrong_budget_is_refused_with_its_option(option: str, text: str) -> None:
    with pytest.raises(UsageError, match="--" + option.replace("_", "-") + " " + text):
        budget_of(RunOptions(**{option: text}))  # type: ignore[arg-type]


def test_units_are_understood_and_nothing_is_no_budget() -> None:
    options = RunOptions(max_cpu="80%", max_mem="8GB", max_time="2h", max_energy="0.2kWh", max_carbon="50g")
    assert budget_of(options) == Budget(cpu=80, mem=8_000_000_000, time=7200, energy=0.2, carbon=50)
    assert not budget_of(RunOptions(country="FRA"))
    assert budget_of(RunOptions(energy=True)).metered


def test_the_world_and_every_country_have_an_intensity() -> None:
    assert intensity(None) == 475
    assert 20 < intensity("FRA") < 120 < intensity("POL")
    assert len(INTENSITY) > 200
    assert all(len(code) == 3 and 0 <= grams < 1500 for code, grams in INTENSITY.items())


# Predictions


def test_own_history_beats_the_step_and_the_step_beats_the_default() -> None:
    known = Stats(seconds=4.0, cpu_seconds=2.0, peak_mem=100)
    other = Stats(seconds=8.0, cpu_seconds=8.0, peak_mem=300)
    guess = predictor({"a[n=1]": known}, {"a": [known, other]})
    own, sibling, unknown = (guess.need(instance(n)) for n in ("a[n=1]", "a[n=3]", "b"))
    assert (own.seconds.value, own.seconds.source) == (4.0, "history")
    assert own.cores.value == 0.5
    assert (sibling.seconds.value, sibling.seconds.source) == (6.0, "step")
    assert sibling.mem.value > 200
    assert (unknown.mem.value, unknown.seconds.known) == (DEFAULT_MEM, False)
    assert own.energy.value == pytest.approx(2e-6)
    assert all(e.spread > 0 for n in (own, sibling, unknown) for e in (n.seconds, n.cpu_seconds, n.mem))


def test_declared_memory_counts_and_what_a_run_learns_is_used_at_once() -> None:
    guess = predictor({})
    assert guess.need(instance("a", mem=5.0)).mem == Estimate(5.0, 2.5, "declaration")
    guess.learn("a", "a", {"seconds": 3.0, "peak_mem": 9.0, "energy_kwh": None})
    assert guess.need(instance("a")).mem.value == 9.0
    assert guess.need(instance("a[n=2]")).seconds == Estimate(3.0, 0.75, "step")


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_moments_are_mean_and_standard_deviation(values: list[float]) -> None:
    import statistics

    found = Moments(values)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.spread == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-3)


# Admission

amounts = st.floats(0.01, 10)


@given(st.lists(st.tuples(amounts, amounts), max_size=20), st.floats(1, 30), st.floats(10, 100))
def test_momentary_limits_hold_whatever_starts(
    steps: list[tuple[float, float]], mem: float, cpu: float
) -> None:
    budget, cores = Budget(mem=round(mem), cpu=cpu), 4
    load = admit.Load()
    for used, size in steps:
        wanted = need(cores=used, mem=size)
        if not admit.crosses_now(budget, wanted, load, cores):
            load = admit.Load(load.count + 1, load.cores + used, load.mem + size)
    assert load.count >= min(1, len(steps))
    if load.count > 1:
        assert load.mem <= round(mem)
        assert load.cores <= cores * cpu / 100 + 1e-6


@given(st.lists(amounts, max_size=30), st.floats(0.1, 50))
def test_known_needs_never_exceed_a_sum(seconds: list[float], limit: float) -> None:
    left = admit.Left(time=limit)
    started = 0.0
    for each in seconds:
        if not admit.crosses_sum(left, need(each), 1.0):
            started += each
            assert left.time is not None
            left.time -= each
    assert started <= limit + 1e-9


def test_idle_power_counts_once_for_what_runs_at_the_same_time() -> None:
    left = admit.Left(energy=0.030)
    each = need(seconds=10.0, energy=0.02)
    assert admit.crosses_sum(left, each, 1.0, idle=0.0011) == "energy"
    assert not admit.crosses_sum(left, each, 1.0, idle=0.0011, ahead=5.0)
    assert not admit.never_fits(Budget(carbon=0.020), each, 1.0)


def test_unknown_needs_start_while_anything_is_left() -> None:
    unknown = predictor({}).need(instance("a"))
    assert not admit.crosses_sum(admit.Left(time=0.001, energy=1e-12), unknown, 400.0)
    assert admit.crosses_sum(admit.Left(time=0.0), unknown, 400.0) == "time"
    assert admit.crosses_sum(admit.Left(carbon=1.0), need(energy=0.01), 400.0) == "carbon"


# Reaction


def member(token: str, started: float, mem: int = 0, paused: float | None = None) -> react.Member:
    return react.Member(token, started, mem=mem, expected_mem=mem, cores=1.0, paused=paused)


def test_memory_pressure_pauses_all_but_the_oldest_then_puts_the_youngest_back() -> None:
    budget = Budget(mem=1000)
    three = [member("old", 1, 500), member("mid", 2, 300), member("young", 3, 250)]
    machine = react.Machine(own_mem=1100, cores=3, load=0, runnable=0)
    assert react.decide(three, machine, budget, 4, 10) == [
        (react.Act.PAUSE, "mid"),
        (react.Act.PAUSE, "young"),
    ]
    for one in three[1:]:
        one.paused = 10.0
    assert react.decide(three, machine, budget, 4, 11) == []
    assert react.decide(three, machine, budget, 4, 10 + react.LASTING) == [(react.Act.EVICT, "young")]
    clear = react.Machine(own_mem=550, cores=1, load=0, runnable=0)
    assert react.decide(three, clear, budget, 4, 12) == [(react.Act.RESUME, "mid")]


def test_a_foreign_process_that_takes_the_memory_pauses_steps_and_they_come_back() -> None:
    budget, two = Budget(mem=10_000_000_000), [member("old", 1, 10), member("young", 2, 10)]
    hogged = react.Machine(100, 2, 0, 0, available=1_000_000, total=1_000_000_000)
    assert react.decide(two, hogged, budget, 4, 5) == [(react.Act.PAUSE, "young")]
    two[1].paused = 5.0
    assert react.decide(two, hogged, budget, 4, 6) == []
    free = react.Machine(100, 1, 0, 0, available=900_000_000, total=1_000_000_000)
    assert react.decide(two, free, budget, 4, 7) == [(react.Act.RESUME, "young")]


def test_cpu_and_load_pause_one_and_never_put_back() -> None:
    two = [member("old", 1), member("young", 2)]
    busy = react.Machine(0, 3.9, 9.0, 12)
    for budget in (Budget(cpu=50), Budget(load=4)):
        assert react.decide(two, busy, budget, 4, 5) == [(react.Act.PAUSE, "young")]
        assert react.decide([two[0]], busy, budget, 4, 5) == []
    paused = [two[0], member("young", 2, paused=1.0)]
    assert react.decide(paused, busy, Budget(cpu=50), 4, 1000) == []
    assert react.decide([paused[1]], busy, Budget(cpu=50), 4, 1000) == [(react.Act.RESUME, "young")]


# Attribution


@given(
    st.lists(st.tuples(st.floats(0.01, 2), st.floats(0, 4), st.floats(0, 300)), min_size=1, max_size=40),
    st.floats(0, 50),
)
def test_the_parts_are_the_whole(steps: list[tuple[float, float, float]], idle: float) -> None:
    ledger = Ledger(idle)
    at = joules = busy = charged = 0.0
    ledger.reading(at, joules, busy)
    for seconds, cpu, energy in steps:
        began, at = at, at + seconds
        joules, busy = joules + energy, busy + cpu
        ledger.reading(at, joules, busy)
        part = ledger.charge(began, at, cpu)
        assert part >= 0
        charged += part
    assert ledger.total == pytest.approx(joules)
    assert charged + ledger.overhead == pytest.approx(joules)
    assert ledger.overhead >= -1e-9


def test_work_gets_the_energy_above_idle_by_its_share() -> None:
    ledger = Ledger(10.0)
    ledger.reading(0, 0, 0)
    ledger.reading(10, 300, 20)
    assert ledger.charge(0, 10, 15) == pytest.approx(150)
    assert ledger.charge(0, 10, 5) == pytest.approx(50)
    assert ledger.overhead == pytest.approx(100)


def test_the_model_counts_idle_time_and_cpu_seconds() -> None:
    model = model_of(100.0, 10, 2, "X")
    assert model.joules(10, 4) == pytest.approx(10 * 2 + 4 * 9)
    assert model_of(None, 8, 2).cpu_watts == pytest.approx(3.6)
    assert simplified("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz") == simplified("Intel Core i7-8650U")


# Counters


def zone(root: Path, name: str, about: str, joules: float, widest: float = 262_144.0) -> Path:
    path = root / name
    path.mkdir(parents=True)
    (path / "name").write_text(about + "\n")
    (path / "max_energy_range_uj").write_text(f"{int(widest * 1e6)}\n")
    (path / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    return path / "energy_uj"


def test_packages_are_summed_and_what_they_contain_is_not(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 10)
    core = zone(tmp_path, "intel-rapl:0:0", "core", 50)
    psys = zone(tmp_path, "intel-rapl:2", "psys", 70)
    counter = Rapl(str(tmp_path))
    for path, joules in ((first, 130), (second, 15), (core, 500), (psys, 700)):
        path.write_text(str(joules * 10**6))
    assert counter.joules() == pytest.approx(35)


def test_a_counter_wraps_around_goes_back_and_disappears(tmp_path: Path) -> None:
    now = [50.0]
    path = zone(tmp_path, "intel-rapl:0", "package-0", 262_134)
    counter = Rapl(str(tmp_path), lambda: now[0])
    path.write_text(str(20 * 10**6))
    assert counter.joules() == pytest.approx(30)
    path.write_text(str(200_000 * 10**6))
    now[0] += 3600
    assert counter.joules() == pytest.approx(200_010), "an hour's energy"
    path.write_text(str(5 * 10**6))
    now[0] += 10
    assert counter.joules() == pytest.approx(200_010), "62 kJ in ten seconds: a reset, no energy"
    path.write_text(str(7 * 10**6))
    assert counter.joules() == pytest.approx(200_012)
    assert not counter.failed
    path.write_text("nonsense")
    assert counter.joules() == pytest.approx(200_012)
    assert counter.failed
    path.unlink()
    assert counter.joules() == pytest.approx(200_012)


def test_no_counter_or_no_permission_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no energy counter"):
        Rapl(str(tmp_path))
    path = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    path.unlink()
    path.mkdir()  # Unreadable for root, too.
    with pytest.raises(IsADirectoryError):
        Rapl(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        Rapl(str(tmp_path / "missing"))


def test_the_second_counter_counts_where_the_first_one_stopped(tmp_path: Path) -> None:
    paths = [zone(tmp_path / name, "intel-rapl:0", "package-0", 0) for name in "ab"]
    sources = [lambda name=name: Rapl(str(tmp_path / name)) for name in "ab"]
    meter = Meter(PowerModel(2.0, 10.0, "test"), lambda: 0.0, lambda: None, sources, lambda: 0.0)
    for path, joules in zip(paths, (30, 500), strict=True):
        path.write_text(str(joules * 10**6))
    assert meter.read()[1] == pytest.approx(30)
    paths[0].unlink()
    assert meter.read()[1] == pytest.approx(30), "the second one counts from here on"
    paths[1].write_text(str(512 * 10**6))
    assert meter.read()[1] == pytest.approx(42) and meter.stop()[1] == pytest.approx(42)


def test_a_meter_goes_on_with_the_model_when_its_counter_is_gone(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    now, cpu = [100.0], [5.0]
    model = PowerModel(2.0, 10.0, "test")
    sources = [lambda: Rapl(str(tmp_path / "none")), lambda: Rapl(str(tmp_path))]
    meter = Meter(model, lambda: cpu[0], lambda: 50.0 + cpu[0], sources, clock=lambda: now[0])
    assert meter.method == "RAPL"
    now[0], cpu[0] = 101.0, 6.0
    path.write_text(str(40 * 10**6))
    assert meter.read()[:2] == (101.0, pytest.approx(40))
    path.unlink()
    assert meter.read()[1] == pytest.approx(40)
    now[0], cpu[0] = 103.0, 7.0
    assert meter.read()[1] == pytest.approx(40 + 2 * 2 + 10)
    assert meter.method.startswith("RAPL, then model") and meter.ended


# What the machine has left


def group(root: Path, limit: str, used: int, cache: int, first: bool) -> Path:
    """A control group's files, of version 1 or 2."""
    names = ("limit_in_bytes", "usage_in_bytes", "total_") if first else ("max", "current", "")
    root.mkdir(parents=True, exist_ok=True)
    (root / f"memory.{names[0]}").write_text(f"{limit}\n")
    (root / f"memory.{names[1]}").write_text(f"{used}\n")
    (root / "memory.stat").write_text(f"cache 1\n{names[2]}inactive_file {cache}\nother 3\n")
    return root


@pytest.mark.parametrize("first", [True, False], ids=["version 1", "version 2"])
def test_memory_is_what_the_tightest_control_group_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 4000 kB\n")
    monkeypatch.setattr(machine, "PROC", str(proc))
    monkeypatch.setattr(machine, "CGROUPS", str(groups))
    (proc / "self" / "cgroup").write_text("5:memory:/a/b\n" if first else "3:cpu:/x\n0::/a/b\n")
    machine._groups.cache_clear()
    assert machine.memory() == (4_096_000, 8_192_000)
    root = groups / "memory" if first else groups
    group(root / "a" / "b", "9223372036854771712" if first else "max", 5, 0, first)
    group(root / "a", "3000000", 2_900_000, 400_000, first)
    machine._groups.cache_clear()
    assert machine.memory() == (500_000, 3_000_000), "file pages can be had back"
    group(root / "a", "3000000", 3_100_000, 0, first)
    assert machine.memory() == (0, 3_000_000)
    machine._groups.cache_clear()

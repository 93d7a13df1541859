"""The energy of a machine without a counter: idle power, and the CPU's TDP for each CPU second. See docs/energy.md."""

from __future__ import annotations

import os
import re
from functools import lru_cache

from f0make.fast_dataclass import dataclass

WATTS_PER_THREAD = 4.0
"""TDP of one hardware thread where the CPU is not known (CodeCarbon 3, DEFAULT_POWER_PER_CORE)."""
IDLE = 0.1
"""Share of the TDP that a CPU takes when it does nothing (CodeCarbon 3, the floor of its CPU load mode)."""
JOULES_PER_KWH = 3_600_000.0

_CPUINFO = "/proc/cpuinfo"


@dataclass(frozen=True, slots=True)
class PowerModel:
    """Watts of the cores that f0make may use."""

    idle_watts: float
    """While nothing runs."""
    cpu_watts: float
    """Joules more for each CPU second."""
    source: str

    @property
    def idle_kwh(self) -> float:
        """Energy of one second in which nothing runs, in kWh."""
        return self.idle_watts / JOULES_PER_KWH

    def joules(self, seconds: float, cpu_seconds: float) -> float:
        """Energy of ``seconds`` in which ``cpu_seconds`` were spent."""
        return self.idle_watts * seconds + self.cpu_watts * cpu_seconds

    def kwh(self, cpu_seconds: float) -> float:
        """Energy of the work alone, in kWh."""
        return self.cpu_watts * cpu_seconds / JOULES_PER_KWH


def model_of(tdp: float | None, threads: int, cores: int, name: str = "") -> PowerModel:
    """The model of a CPU package with ``threads`` hardware threads of which f0make may use ``cores``.

    ``tdp``: watts of the package, None when the CPU is not in the table.
    """
    source = (
        f"TDP {tdp:g} W of {name}" if tdp else f"{WATTS_PER_THREAD:g} W for each thread, CPU not in the table"
    )
    per_thread = tdp / max(1, threads) if tdp else WATTS_PER_THREAD
    return PowerModel(IDLE * per_thread * cores, (1 - IDLE) * per_thread, source)


@lru_cache(maxsize=1)
def here() -> PowerModel:
    """The model of this machine."""
    from f0make.worker.cores import usable_cores

    name, threads = _cpu()
    return model_of(_tdp(name), threads, usable_cores(), name)


def _cpu() -> tuple[str, int]:
    """Name of the CPU and hardware threads of one package (all CPUs where the system does not tell)."""
    name, siblings = "", 0
    try:
        with open(_CPUINFO, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and not name:
                    name = value.strip()
                elif key.strip() == "siblings" and not siblings:
                    siblings = int(value)
                if not line.strip() and name:
                    break
    except (OSError, ValueError):
        pass
    return name, siblings or os.cpu_count() or 1


def simplified(name: str) -> str:
    """``name`` of a CPU as tables of TDPs write it: no marks, no clock, no "CPU"."""
    name = re.sub(r"\((R|TM|C)\)|\bCPU\b|\bProcessor\b|@.*|\b\d+-Core\b|\bwith\b.*", " ", name, flags=re.I)
    return " ".join(name.split()).casefold()


def _tdp(name: str) -> float | None:
    """Watts of CPU ``name`` in CodeCarbon's table, where that is installed (nothing of it is imported)."""
    from importlib.util import find_spec

    wanted = simplified(name)
    # Thousands of lines: only those that can be it are looked at closely.
    longest = max(wanted.split(), key=len, default="")
    try:
        spec = find_spec("codecarbon")
    except (ImportError, ValueError):
        spec = None
    for directory in (spec.submodule_search_locations or ()) if spec is not None and wanted else ():
        try:
            with open(os.path.join(directory, "data", "hardware", "cpu_power.csv"), encoding="utf-8") as file:
                for line in file:
                    cpu, _, watts = line.strip().rpartition(",")
                    if longest in line.casefold() and simplified(cpu) == wanted:
                        return float(watts)
        except (OSError, ValueError):
            continue
    return None

"""CodeCarbon's offline tracker as a meter: in one thread, silent, without files, network or settings of its own.

It is asked for each measurement (`start_task` and `stop_task`), its own timers are taken away. Every parameter is given, and its environment variables and files are kept out, because both could
send measurements somewhere or write them down.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from f0make.governor.energy_model import JOULES_PER_KWH

if TYPE_CHECKING:
    from f0make.governor.energy_meter import Meter

EVERY = 1.0
"""Seconds between two measurements."""
_READY = 20.0
"""Seconds that importing CodeCarbon and looking for hardware may take at the end of a run."""
_MOST_WATTS = 20_000.0
"""No machine takes more: CodeCarbon takes every counter that goes back for one that wrapped around."""


def counters(root: str = "/sys/class/powercap") -> list[str]:
    """Hardware counters that CodeCarbon could read here, without importing it; empty: it would only guess."""
    found = []
    try:
        from f0make.governor.rapl import Rapl

        Rapl(root)
        found.append("RAPL")
    except OSError:
        pass
    for path, name in (("/dev/nvidiactl", "NVML"), ("/dev/kfd", "ROCm")):
        if os.path.exists(path):
            found.append(name)
    return found


def installed() -> bool:
    """Whether CodeCarbon can be imported."""
    from importlib.util import find_spec

    try:
        return find_spec("codecarbon") is not None
    except (ImportError, ValueError):
        return False


class Tracker:
    """The machine's energy by CodeCarbon, from `start` on; ``intensity`` is g CO2 equivalent for a kWh.

    ``meanwhile`` counts until it has found its hardware, which is named ``hardware`` (that takes a second or two; it
    begins after ``delay`` seconds), and between two measurements. Any failure of CodeCarbon ends the measuring, never the run: `failed` then says
    why.
    """

    def __init__(
        self,
        intensity: float,
        country: str | None,
        meanwhile: Meter,
        hardware: str,
        every: float = EVERY,
        delay: float = 0.0,
    ) -> None:
        self.failed = ""
        self._hardware = hardware
        self.version = ""
        self._intensity = intensity
        self._country = country
        self._every = every
        self._delay = delay
        self._meanwhile = meanwhile
        self._warm = False
        self._joules = 0.0
        """Up to the last measurement."""
        self._from = 0.0
        """Where ``meanwhile`` stood then."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once, the import happens in the thread."""
        self._thread = threading.Thread(target=self._main, name="codecarbon", daemon=True)
        self._thread.start()

    @property
    def method(self) -> str:
        """What counts now."""
        return f"CodeCarbon ({self._hardware})" if self._warm else self._meanwhile.method

    def joules(self) -> float:
        """Joules measured so far."""
        with self._lock:
            now = self._meanwhile.read()[1]
            if self._meanwhile.ended:
                # CodeCarbon goes on without its counter and does not say so.
                self.failed = self._meanwhile.ended[0]
            return self._joules + now - self._from

    def stop(self) -> None:
        """Measure for the last time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_READY)
            if self._thread.is_alive():
                self.failed = "CodeCarbon does not answer"

    def _main(self) -> None:
        if self._stop.wait(self._delay):
            return
        try:
            tracker = self._tracker()
            if self._stop.is_set():
                return
            # The first task finds the hardware, which takes long: it is not measured.
            tracker.start_task()
            tracker.stop_task()
            while True:
                if self._warm:
                    tracker.start_task()
                else:
                    with self._lock:
                        tracker.start_task()
                        self._joules = self._from = self._meanwhile.read()[1]
                        self._warm = True
                began = time.monotonic()
                last = self._stop.wait(self._every)
                measured = tracker.stop_task()
                if measured is None:
                    raise RuntimeError("it measures nothing")
                joules = measured.energy_consumed * JOULES_PER_KWH
                sane = 0 < joules <= _MOST_WATTS * max(self._every, time.monotonic() - began)
                with self._lock:
                    now = self._meanwhile.read()[1]
                    self._joules += joules if sane else now - self._from
                    self._from = now
                tracker._tasks.clear()  # It keeps every task for ever.
                if last:
                    return
        except Exception as error:  # Whatever goes wrong in there must not end the run.
            self.failed = f"CodeCarbon: {type(error).__name__}: {error}"

    def _tracker(self) -> Any:
        import logging

        # Its module attaches a handler to its logger when it is imported: nothing may reach that.
        logger = logging.getLogger("codecarbon")
        logger.disabled = True
        from importlib import import_module

        emissions_tracker: Any = import_module("codecarbon.emissions_tracker")
        self.version = str(emissions_tracker.__version__)
        # Settings come from here alone. The function is where environment and files would be read.
        emissions_tracker.get_hierarchical_config = dict
        logger.disabled = True
        tracker = emissions_tracker.OfflineEmissionsTracker(
            **parameters(emissions_tracker, self._intensity, self._country, self._every)
        )
        logger.disabled = True
        if not hasattr(tracker, "run_id"):
            raise RuntimeError("it refuses its parameters")
        # Its timers would be threads of their own; each task is shorter than their period.
        tracker._scheduler = tracker._scheduler_monitor_power = _NoTimer()
        return tracker


class _NoTimer:
    """Stands where CodeCarbon has a periodic timer."""

    _stopped = True

    def start(self) -> None:
        """Nothing runs periodically."""

    stop = start


def parameters(module: Any, intensity: float, country: str | None, every: float) -> dict[str, Any]:
    """Every parameter that the installed tracker knows, so that none is looked up elsewhere."""
    from inspect import signature

    wanted: dict[str, Any] = {
        "project_name": "f0make",
        "measure_power_secs": every,
        "api_call_interval": -1,
        "api_endpoint": "",
        "api_key": "",
        "output_dir": "/",
        "output_file": "",
        "output_methods": [],
        "save_to_file": False,
        "save_to_api": False,
        "save_to_logger": False,
        "save_to_prometheus": False,
        "save_to_logfire": False,
        "logging_logger": None,
        "prometheus_url": "",
        "output_handlers": [],
        "gpu_ids": None,
        "emissions_endpoint": None,
        "experiment_id": "",
        "experiment_name": "",
        "electricitymaps_api_token": None,
        "tracking_mode": "machine",
        "log_level": "critical",
        "on_csv_write": "append",
        "logger_preamble": "",
        "force_cpu_power": None,
        "force_ram_power": None,
        "pue": 1.0,
        "wue": 0.0,
        "force_carbon_intensity_g_co2e_kwh": intensity,
        "force_mode_cpu_load": False,
        "allow_multiple_runs": True,
        "rapl_include_dram": False,
        "rapl_prefer_psys": False,
        "metadata": None,
        "country_iso_code": country or "",
        "region": None,
        "cloud_provider": None,
        "cloud_region": None,
        "country_2letter_iso_code": None,
    }
    known: set[str] = set()
    for kind in module.OfflineEmissionsTracker.__mro__[:2]:
        known.update(signature(kind.__init__).parameters)
    if "output_methods" in known:
        # With these given, the older switches are deprecated, and giving them is complained about.
        wanted = {name: value for name, value in wanted.items() if not name.startswith("save_to_")}
    # Older versions know fewer; what a newer one adds is off unless it is asked for.
    return {name: value for name, value in wanted.items() if name in known}

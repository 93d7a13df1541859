"""CodeCarbon's offline tracker as a meter: in one thread, silent, without files, network or settings of its own.

It is asked for each measurement (`start_task` and `stop_task`), so that its own timers never run for longer
than one. Every parameter is given, and its environment variables and files are kept out, because both could
send measurements somewhere or write them down.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from f0make.governor.model import JOULES_PER_KWH

EVERY = 1.0
"""Seconds between two measurements."""
_READY = 20.0
"""Seconds that importing CodeCarbon and looking for hardware may take at the end of a run."""


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

    Any failure of CodeCarbon ends the measuring, never the run: `failed` then says why.
    """

    def __init__(self, intensity: float, country: str | None, every: float = EVERY) -> None:
        self._intensity = intensity
        self._country = country
        self._every = every
        self._kwh = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failed = ""
        self.version = ""

    def start(self) -> None:
        """Begin; returns at once, the import happens in the thread."""
        self._thread = threading.Thread(target=self._main, name="codecarbon", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        """Joules measured so far."""
        return self._kwh * JOULES_PER_KWH

    def stop(self) -> float:
        """Measure for the last time; joules in all."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_READY)
            if self._thread.is_alive():
                self.failed = "CodeCarbon does not answer"
        return self.joules()

    def _main(self) -> None:
        try:
            tracker = self._tracker()
            while True:
                tracker.start_task()
                last = self._stop.wait(self._every)
                measured = tracker.stop_task()
                if measured is None:
                    raise RuntimeError("it measures nothing")
                self._kwh += max(0.0, measured.energy_consumed)
                tracker._tasks.clear()  # It keeps every task for ever.
                if last:
                    return
        except Exception as error:
            self.failed = f"{type(error).__name__}: {error}"

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
        return tracker


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

"""Importing PyYAML without compiling what only its parser in Python needs: a third of the time of its import.

libyaml reads recipes; but the module compiles a regular expression over all of Unicode, and one for each kind
of implicit type, when it is imported. Here they are compiled when they are used.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from types import ModuleType

from f0make.forked_task import single_threaded
from f0make.lazy_re import Later

_OTHERS = ("base64", "datetime")
"""What PyYAML imports from the standard library, and what shall keep the real `re`."""


def import_yaml() -> None:
    """Put the module `yaml` in its place among the modules."""
    if "yaml" in sys.modules:
        return
    if not single_threaded():  # another thread might import something meanwhile
        import_module("yaml")
        return
    for name in _OTHERS:
        import_module(name)
    stand_in = ModuleType("re")
    stand_in.__dict__.update(re.__dict__)
    stand_in.__dict__["compile"] = Later
    sys.modules["re"] = stand_in
    try:
        import_module("yaml")
    finally:
        sys.modules["re"] = re

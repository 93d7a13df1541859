"""The program of an interpreter for python steps: `main.py serve FD`, or `main.py once REQUEST_FD NEWS_FD`.

Where the step starts processes with `multiprocessing`, this is their main module, too, as it is the step's.
"""

import os
import sys

if tuple(sys.version_info[:2]) < (3, 9):
    sys.exit(f"f0make: python steps need Python 3.9 or newer, {sys.executable} is {sys.version}")

if "_f0make" not in sys.modules:
    _package = type(sys)("_f0make")
    _here = os.path.dirname(os.path.abspath(__file__))
    _f0make = os.path.dirname(os.path.dirname(_here))
    _package.__path__ = [_here, _f0make, os.path.join(_f0make, "code")]
    sys.modules["_f0make"] = _package
    del _package, _here, _f0make

if __name__ in ("__main__", "__mp_main__"):
    __import__("_f0make.serving")
    _serving = sys.modules["_f0make.serving"].__dict__
    _serving["main"](sys.argv[1:]) if __name__ == "__main__" else _serving["join"]()
    del _serving

"""`python -m f0make`."""

import os
import sys

if sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[
        0
    ]  # The current directory, put there by Python: a `queue.py` in it is for steps, not for f0make.

from f0make.entry import main

sys.exit(main())

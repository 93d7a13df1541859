"""`python -m f0make`."""

import sys

from f0make.entry import main

sys.exit(main())

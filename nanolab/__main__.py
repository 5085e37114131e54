"""`python -m nanolab` is the same as `nanolab`."""

import sys

from nanolab.cli import main

sys.exit(main())

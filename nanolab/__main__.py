"""`python -m nanolab` is the same as `nanolab`."""

import sys

from nanolab.entry import main

sys.exit(main())

"""`python -m swarmrig` is `swarmrig`."""

import sys

from swarmrig.cli.main import main

sys.exit(main())

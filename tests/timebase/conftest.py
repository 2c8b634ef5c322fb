"""Makes `simulation` importable: test modules are imported without their directory on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

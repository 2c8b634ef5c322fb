"""Makes `paced_swarm`, and `simulation` of tests/timebase, importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "timebase"))

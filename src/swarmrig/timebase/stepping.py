"""How guests are led through virtual time. What they do depends on none of it."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PATIENCE_S = 30.0
DEFAULT_QUANTUM_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stepping:
    patience_s: float = DEFAULT_PATIENCE_S
    """How long a guest may give no sign of life, by this machine's clock."""
    quantum_ns: int = DEFAULT_QUANTUM_NS
    """The longest that a busy guest lives between two reports. Shorter costs speed."""

"""Built-in checks: each judges a run from observed facts and never passes without evidence (docs/adr/0003)."""

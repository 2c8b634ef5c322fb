"""Built-in faults: each makes something go wrong, and is proved by facts that come from outside itself."""

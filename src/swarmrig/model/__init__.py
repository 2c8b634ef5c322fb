"""Frozen values shared by every layer: no I/O, standard library only (the fabric process starts fast)."""

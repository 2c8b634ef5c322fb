"""A test rig for swarms of emulated devices."""

__version__ = "0.1.0"

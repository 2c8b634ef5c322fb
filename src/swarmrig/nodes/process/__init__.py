"""Nodes that are programs of this machine, each in a network namespace of its own."""

"""Nodes that are Linux guests in a virtual machine."""

"""Nodes that are programs in any language: the network's process steps them, by a protocol of lines.

The network process hosts their near end, so everything but the backend keeps to the standard library.
"""

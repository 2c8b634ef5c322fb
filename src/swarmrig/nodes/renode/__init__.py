"""Nodes that Renode emulates."""

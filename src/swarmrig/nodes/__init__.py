"""Kinds of nodes, independent of each other, and what they share."""

"""Nodes that are containers of a Docker engine (or of podman, by the same interface)."""

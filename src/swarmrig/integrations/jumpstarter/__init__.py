"""Drivers for Jumpstarter: whoever leases a swarm, or one node of it, has a target like any board on a desk.

`Swarm` offers a whole scenario, `SwarmNode` one node of it. They are made for Jumpstarter 0.9 (extra `jumpstarter`).
"""

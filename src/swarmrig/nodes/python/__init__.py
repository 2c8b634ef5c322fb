"""Python nodes: a sans-I/O host to build them from, the aggregator, and the backend that puts them into a network.

The fabric process hosts these nodes, so everything but the backend keeps to the standard library.
"""

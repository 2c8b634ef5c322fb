"""The network of a run as a graph with places on a plane, for pictures of any kind."""

"""Finished runs again: compared with each other, repeated as a whole, or one node of them alone."""

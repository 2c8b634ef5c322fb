"""Search: which faults, when and in which order, break a check of a scenario; shrunk to the fewest."""

"""Fault suites: many scenarios run, measured, and judged against the thresholds of a mode."""

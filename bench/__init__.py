"""Measurements against peers, both sides in the same run: `python -m bench NAME …`, or all of them without a name.

A measurement is a module here with a function `run() -> None` that prints lines `NAME: … ratio vs PEER = x.xx`. They
are no tests: machines differ and have other things to do. What is compared is CPU time wherever that can be.
"""

"""Benchmarks: each module here measures one thing beside a peer, in the same run, and prints the ratio.

A module has `measure() -> None` and prints lines `NAME: ... ratio vs PEER = x.xx`.
"""

"""report.html: a page made of the directory of a run, whole or broken off, for people who look rather than read.

The page is made of files only, so it can be made at any time and anywhere. It needs no network and no server. What the
run wrote is data to it: shown, never interpreted.
"""

"""What pages have in common: their frame, looks and small script, how they are escaped, how their files are written.

A page is a file beside a directory of what it loads. It needs no network and no server, and is read without its script.
"""

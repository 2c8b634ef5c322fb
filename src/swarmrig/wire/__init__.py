"""Frames to fields and back: Ethernet, ARP, IPv4, UDP, ICMP, and the CSI, vitals and TDM messages of a swarm.

Standard library only: the fabric process imports this. Parsers raise `MalformedError` (a ValueError that
carries an enumerated reason) and nothing else, whatever the bytes; `decode.decode` does not raise at all.
"""

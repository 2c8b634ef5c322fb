"""A program to run as a node: `python -m acme_swarm.device`. It beats ten times a second, on console and network."""

import os
import selectors
import socket
import sys
import time

PERIOD_S = 0.1
ETHERTYPE = b"\x88\xb5"  # IEEE 802: local experimental


def main() -> int:
    console, network = socket.socket(fileno=0), socket.socket(fileno=3)
    mac = bytes.fromhex(os.environ["NODE_MAC"].replace(":", ""))
    console.sendall(b"ready at " + os.environ["NODE_ADDRESS"].encode() + b"\n")
    muted, beats, due = False, 0, time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(console, selectors.EVENT_READ)
        while True:
            if selector.select(max(0.0, due - time.monotonic())):
                words = console.recv(4096)
                if not words:
                    return 0
                for word in words.decode().split():
                    muted = {"mute": True, "unmute": False}.get(word, muted)
                    console.sendall({"mute": b"muted\n", "unmute": b"unmuted\n"}.get(word, b"what?\n"))
            if time.monotonic() >= due:
                due += PERIOD_S
                if not muted:
                    beats += 1
                    console.sendall(b"beat %d\n" % beats)
                    network.send(b"\xff" * 6 + mac + ETHERTYPE + beats.to_bytes(4) + bytes(42))


if __name__ == "__main__":
    sys.exit(main())

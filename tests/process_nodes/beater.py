"""A program to run as a node: says that it is ready, beats, and answers."""

import os
import selectors
import sys
import time

PERIOD_S = 0.05


def main() -> None:
    print(f"ready at {os.environ['SWARMRIG_ADDRESS']}", flush=True)
    beats, due = 0, time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        while True:
            if selector.select(max(0.0, due - time.monotonic())):
                for line in os.read(0, 4096).decode().splitlines():
                    print("said", line, flush=True)
            if time.monotonic() >= due:
                due += PERIOD_S
                beats += 1
                print("beat", beats, flush=True)


if __name__ == "__main__":
    sys.exit(main())

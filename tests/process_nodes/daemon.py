"""Daemonises twice, forgets its environment, and ignores whatever it may."""

import os
import signal
import time

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        print("daemon", os.getpid(), flush=True)
        while True:
            time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(600)

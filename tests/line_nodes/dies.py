"""Says READY, answers so many ADVANCEs, and dies: `dies.py ANSWERS CODE`."""

import sys

answers, code = map(int, sys.argv[1:])
input()
print("READY", flush=True)
for _ in range(answers):
    input()
    input()
    print("DONE\n[]", flush=True)
input()
sys.exit(code)

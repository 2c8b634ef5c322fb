"""A rig to be killed: python rig_program.py RUN_DIRECTORY STATE_ROOT RUN_ID calm|busy|network

It starts everything that is hard to get rid of, says `ready`, and then either waits (calm) or goes on
starting and stopping (busy). `network` also makes a link and a namespace. SIGINT ends it in order.
"""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import anyio

from swarmrig.proc import RunScope, open_spawner

DEAF = "trap '' TERM INT HUP; while :; do sleep 100; done"
STRUGGLE = {
    "plain": ["sleep", "100"],
    "deaf": ["sh", "-c", DEAF],
    "daemon": ["setsid", "--fork", "env", "-i", "/bin/sh", "-c", DEAF],
    "nested": ["sh", "-c", f'setsid sh -c "({DEAF}) & {DEAF}" & {DEAF}'],
    "qemu": ["qemu-system-riscv32", "-M", "none", "-nodefaults", "-display", "none", "-daemonize"],
}


async def churn(spawner, number):
    while True:
        scratch = spawner.scope.run_directory / f"scratch-{number}"
        spawner.journal.path(scratch, scratch=True)
        scratch.touch()
        await spawner.run(["setsid", "--fork", "sleep", "100"], deadline_s=30)
        async with spawner.process(["sh", "-c", "sleep 0.01 & sleep 100"], name=f"churn{number}"):
            await anyio.sleep(0)


async def make_network(spawner):
    scope = spawner.scope
    for name, alias in ((f"{scope.link_prefix}a", scope.link_alias), (f"{scope.link_prefix}b", None)):
        spawner.journal.link(name)
        assert (await spawner.run(["ip", "link", "add", name, "type", "bridge"], deadline_s=10)).ok
        if alias:
            assert (await spawner.run(["ip", "link", "set", name, "alias", alias], deadline_s=10)).ok
    spawner.journal.namespace(f"{scope.namespace_prefix}-n")
    assert (await spawner.run(["ip", "netns", "add", f"{scope.namespace_prefix}-n"], deadline_s=10)).ok


async def main(run_directory, state_root, run_id, mode):
    scope = RunScope(run_directory, run_id, state_root)
    async with open_spawner(scope) as spawner, AsyncExitStack() as stack:
        print("guardian", spawner._client.guardian_pid, flush=True)
        for name, argv in STRUGGLE.items():
            await stack.enter_async_context(spawner.process(argv, name=name))
        (scope.temporary_directory / "socket").touch()
        (scope.run_directory / "console.log").write_text("evidence")
        image = scope.run_directory / "flash.bin"
        spawner.journal.path(image, scratch=True)
        image.write_bytes(b"flash")
        if mode == "network":
            await make_network(spawner)
        print("ready", flush=True)
        async with anyio.create_task_group() as group:
            for number in range(3 if mode == "busy" else 0):
                group.start_soon(churn, spawner, number)
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

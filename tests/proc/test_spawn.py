"""What a program is given, and exactly why one could not be started."""

import errno
import os
import socket
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import HostError
from swarmrig.proc import SpawnError, open_spawner

pytestmark = pytest.mark.anyio


def file(scope, name, content, mode=0o755):
    path = scope.run_directory / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


async def refused(scope, argv, **options):
    async with open_spawner(scope) as spawner:
        with pytest.raises(SpawnError) as error:
            await spawner.run(argv, deadline_s=5, **options)
        assert (await spawner.run(["true"], deadline_s=30)).ok  # the guardian took no harm
    return error.value


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program", "./no-such-program"])
async def test_missing(scope, program):
    error = await refused(scope, [program])
    assert error.errno == errno.ENOENT
    assert str(error).startswith("cannot start ") and str(error).endswith(f"there is no program {program}")


async def test_missing_interpreter(scope):
    script = file(scope, "script", b"#!/no/such/interpreter\n")
    error = await refused(scope, [script])
    assert error.errno == errno.ENOENT and "interpreter or loader that" in str(error)


@pytest.mark.parametrize("content", [b"\x7fELF is not enough", b"\0\1\2\3", b""])
async def test_wrong_format(scope, content):
    error = await refused(scope, [file(scope, "wrong", content)])
    assert error.errno == errno.ENOEXEC and "no program that this machine can run" in str(error)


async def test_not_executable(scope):
    error = await refused(scope, [file(scope, "plain", b"#!/bin/sh\n", 0o644)])
    assert error.errno == errno.EACCES and "is not executable" in str(error)


async def test_not_executable_on_the_path_is_named(scope):
    found = file(scope, "plain", b"#!/bin/sh\n", 0o644)
    error = await refused(scope, ["plain"], env={"PATH": str(scope.run_directory)})
    assert error.errno == errno.EACCES and str(found) in str(error)


async def test_a_directory_is_no_program(scope):
    assert (await refused(scope, [scope.run_directory])).errno == errno.EACCES


async def test_an_argument_that_is_too_long(scope):
    error = await refused(scope, ["true", "x" * 200_000])
    assert error.errno == errno.E2BIG and "2 arguments (200006 bytes, the longest 200000)" in str(error)


async def test_missing_working_directory(scope):
    error = await refused(scope, ["true"], cwd=scope.run_directory / "gone")
    assert error.errno == errno.ENOENT and "working directory" in str(error) and "gone" in str(error)


async def test_a_log_that_cannot_be_opened(scope):
    async with open_spawner(scope) as spawner:
        with pytest.raises(HostError, match="cannot open /no/such/log: No such file"):
            async with spawner.process(["true"], name="true", stdout=Path("/no/such/log")):
                pass


async def test_a_log_that_is_a_symbolic_link_is_refused(scope):
    link = scope.run_directory / "log"
    link.symlink_to("/dev/full")
    async with open_spawner(scope) as spawner:
        with pytest.raises(HostError, match="cannot open"):
            async with spawner.process(["true"], name="true", stdout=link):
                pass


async def test_half_a_megabyte_of_arguments_in_any_bytes(scope):
    words = [f"{number:099d}\udcff" for number in range(5000)]
    async with open_spawner(scope) as spawner:
        completed = await spawner.run(["sh", "-c", 'echo $#; printf "%s" "${5000}"', "sh", *words], deadline_s=30)
    assert completed.stdout == b"5000\n" + os.fsencode(words[4999])


async def test_a_program_on_the_path_of_its_own_environment(scope):
    file(scope, "mine", b"#!/bin/sh\necho found\n")
    async with open_spawner(scope) as spawner:
        path = f"{scope.run_directory}:{os.environ['PATH']}"
        assert (await spawner.run(["mine"], env={"PATH": path}, deadline_s=30)).stdout == b"found\n"


SHOW = """
import os
for fd in range(64):
    try:
        found = os.fstat(fd)
    except OSError:
        continue
    if fd > 2:
        print(fd, found.st_ino)
"""


@pytest.mark.parametrize(
    "shape",
    ["swap", "rotate", "same", "onto the guardian's own", "one twice", "far apart"],
)
async def test_descriptors_arrive_under_their_numbers_and_no_others_do(scope, python, shape):
    files = [file(scope, f"f{number}", b"").open() for number in range(3)]
    a, b, c = (opened.fileno() for opened in files)
    wanted = {
        "swap": {a: b, b: a},
        "rotate": {a: b, b: c, c: a},
        "same": {a: a, b: b},
        "onto the guardian's own": dict.fromkeys(range(3, 12), c),
        "one twice": {20: a, 21: a},
        "far apart": {3: c, 60: a},
    }[shape]
    inodes = {number: os.fstat(fd).st_ino for number, fd in wanted.items()}
    async with open_spawner(scope) as spawner:
        lines = await _run(spawner, scope, python(SHOW), wanted)
    for opened in files:
        opened.close()
    seen = {int(fd): int(inode) for fd, inode in map(str.split, lines)}
    assert seen == inodes


async def _run(spawner, scope, argv, fds):
    out = scope.run_directory / "out"
    async with spawner.process(argv, name="show", fds=fds, stdout=out) as process:
        status = await process.wait()
    assert status.code == 0, process.last_words()
    return out.read_text().splitlines()


async def test_a_socket_works_in_the_child_and_closes_with_it(scope, python):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    program = python("import os; os.write(7, os.read(7, 100).upper())")
    async with open_spawner(scope) as spawner:
        with ours:
            async with spawner.process(program, name="echo", fds={7: theirs}) as process:
                theirs.close()
                ours.send(b"hello")
                with anyio.fail_after(30):
                    await anyio.wait_readable(ours)
                    assert ours.recv(100) == b"HELLO"
                    await anyio.wait_readable(ours)
                    assert ours.recv(100) == b""  # nobody else, the guardian included, holds the other end
                await process.wait()


async def test_standard_input_can_be_given(scope):
    source = file(scope, "in", b"text").open("rb")
    async with open_spawner(scope) as spawner:
        with source:
            assert await _run(spawner, scope, ["cat"], {0: source}) == ["text"]


async def test_signals_are_as_in_a_fresh_login(scope):
    """The guardian ignores SIGINT, SIGTERM and others; its children must not inherit that."""
    async with open_spawner(scope) as spawner:
        completed = await spawner.run(["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"], deadline_s=30)
    # 32 and 33 belong to the C library, which does not let anybody set them.
    assert [int(line.split()[1], 16) & 0x7FFFFFFF for line in completed.stdout.splitlines()] == [0, 0]


async def test_two_hundred_descriptors(scope, python):
    with open("/dev/null") as null:
        fds = {number: null.fileno() for number in range(3, 203)}
        count = python("import os; print(len(os.listdir('/proc/self/fd')))")
        async with open_spawner(scope) as spawner:
            (line,) = await _run(spawner, scope, count, fds)
    assert int(line) == 204  # and the listing itself


async def test_more_descriptors_than_a_message_takes_are_refused(scope):
    with open("/dev/null") as null:
        async with open_spawner(scope) as spawner:
            with pytest.raises(ValueError, match="at most 240"):
                async with spawner.process(["true"], name="t", fds=dict.fromkeys(range(3, 300), null.fileno())):
                    pass


@pytest.mark.parametrize("argv", [[], [""], ["a\0b"], ["true", "a\0b"]])
async def test_an_argv_that_no_kernel_takes_is_refused(scope, argv):
    async with open_spawner(scope) as spawner:
        with pytest.raises(ValueError, match="argv"):
            async with spawner.process(argv, name="t"):
                pass


async def test_a_disk_that_is_full(scope):
    """The command cannot be logged: what was started is stopped again."""
    async with open_spawner(scope) as spawner:
        with open("/dev/full", "wb") as full:
            os.dup2(full.fileno(), spawner._commands)
        with pytest.raises(HostError, match=r"cannot write commands.log: No space left"):
            async with spawner.process(["sleep", "100"], name="sleeper"):
                pass


async def test_a_run_directory_in_disorder(scope):
    (scope.run_directory / "processes").touch()
    async with open_spawner(scope) as spawner:
        with pytest.raises(HostError, match=r"cannot make .*/processes: File exists"):
            async with spawner.process(["sleep", "100"], name="sleeper"):
                pass
    (scope.run_directory / "commands.log").unlink()
    (scope.run_directory / "commands.log").symlink_to("/etc/passwd")
    with pytest.raises(HostError, match=r"cannot open .*/commands.log"):
        async with open_spawner(scope):
            pass


@pytest.mark.parametrize("env", [{"A": "a\0b"}, {"": "b"}, {"A=B": "c"}])
async def test_an_environment_that_no_kernel_takes_is_refused(scope, env):
    assert (await refused(scope, ["true"], env=env)).errno == errno.EINVAL


async def test_the_run_directory_must_exist(scope):
    scope.run_directory.rmdir()
    with pytest.raises(HostError, match=r"run directory .* does not exist"):
        async with open_spawner(scope):
            pass


async def test_a_state_root_that_cannot_be_written(scope):
    scope.state_root.mkdir(mode=0o700)
    (scope.state_root / scope.run_id).mkdir()
    with pytest.raises(HostError, match=r"cannot make the run's state directory: File exists"):
        async with open_spawner(scope):
            pass
    assert os.listdir(scope.state_root) == [scope.run_id]

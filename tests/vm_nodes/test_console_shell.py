"""Commands on a console: against real shells on a real terminal, so all is there but the machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmrig.errors import NodeError
from swarmrig.nodes.vm.options import Login
from swarmrig.nodes.vm.shell import PIECE, Shell, _typed
from swarmrig.nodes.vm.transcript import LIMIT, Transcript

pytestmark = pytest.mark.anyio

SHELLS = [["busybox", "sh", "-i"], ["dash", "-i"], ["bash", "--norc", "-i"]]
SHELL = Login()
PATIENCE_S = 60.0


def take_terminal() -> None:
    """In the child: a session with this terminal, so that Ctrl-C reaches what runs in it."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@asynccontextmanager
async def on_terminal(argv: Sequence[str]) -> AsyncIterator[tuple[Shell, Transcript]]:
    """A program with a terminal of its own, and the shell that is made of its console."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"no {argv[0]}")
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "vt100", "PS1": "# ", "LANG": "C.UTF-8"}
    program = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, preexec_fn=take_terminal
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    transcript, loop = Transcript(), asyncio.get_running_loop()

    def on_readable() -> None:
        try:
            transcript.feed(os.read(ours, 65536))
        except OSError:
            loop.remove_reader(ours)

    async def write(data: bytes) -> None:
        while data:
            data = data[os.write(ours, data) :]

    loop.add_reader(ours, on_readable)
    try:
        with anyio.fail_after(PATIENCE_S):
            yield Shell("n", transcript, write), transcript
    finally:
        loop.remove_reader(ours)
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        os.close(ours)


@pytest.mark.parametrize("argv", SHELLS, ids=lambda argv: argv[0])
async def test_output_and_exit_are_told_exactly(argv: list[str]) -> None:
    async with on_terminal(argv) as (shell, _):
        await shell.log_in(SHELL, {"WHERE": "here", "EMPTY": ""})
        for command, status, output in [
            ("true", 0, ""),
            ("false", 1, ""),
            ("exit 42", 42, ""),
            ("echo $WHERE:$EMPTY", 0, "here:\n"),
            ("printf 'no end'", 0, "no end"),
            ("printf '\\n\\n'", 0, "\n\n"),
            ("printf 'carriage\\rreturn\\r\\n'", 0, "carriage\rreturn\r\n"),
            ("echo to both; echo of them >&2", 0, "to both\nof them\n"),
            ("cd /; pwd; nothing=x", 0, "/\n"),
            ("echo \"a  b\" 'c' \\\\ ! $((1+1)) `echo d`", 0, "a  b c \\ ! 2 d\n"),
            ("for i in 1 2; do\n\techo $i # comment\ndone", 0, "1\n2\n"),
            ("cat; echo nothing is typed into it", 0, "nothing is typed into it\n"),
            (f"printf %s '{'long ' * PIECE}' | wc -c", 0, f"{5 * PIECE}\n"),
            ("echo SWARMRIG- RIGSWARM-0 1.", 0, "SWARMRIG- RIGSWARM-0 1.\n"),
        ]:
            result = await shell.run(command)
            assert (result.status, result.output) == (status, output), command
        assert (await shell.run("echo ${nothing:-as it was}")).output == "as it was\n"


async def test_a_syntax_error_is_an_exit() -> None:
    async with on_terminal(["busybox", "sh", "-i"]) as (shell, _):
        await shell.log_in(SHELL, {})
        result = await shell.run("if then (")
        assert result.status and "syntax error" in result.output
        assert (await shell.run("echo still here")).output == "still here\n"


async def test_commands_of_several_tasks_take_turns() -> None:
    async with on_terminal(["busybox", "sh", "-i"]) as (shell, _):
        await shell.log_in(SHELL, {})
        said: dict[int, str] = {}

        async def one(number: int) -> None:
            said[number] = (await shell.run(f"echo {number}; sleep 0.02; echo {number}")).output

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(one, number)
        assert said == {number: f"{number}\n{number}\n" for number in range(5)}


async def test_who_gives_up_waiting_ends_the_command() -> None:
    async with on_terminal(["dash", "-i"]) as (shell, _):
        await shell.log_in(SHELL, {})
        with anyio.move_on_after(0.3):
            await shell.run("sleep 3600")
        assert (await shell.run("echo there again")).output == "there again\n"


LOGIN_PROGRAM = r"""
echo 'Linux 6.1 # not a prompt'
tries=0
while :; do
    printf 'box login: '; read name
    printf 'Password: '; read word
    [ "$name/$word" = root/sesame ] && break
    tries=$((tries+1)); echo; echo 'Login incorrect'
done
echo 'Last login: Mon Jan  1 00:00:00 on ttyS0'
exec sh -i
"""


async def test_a_login_is_answered_and_the_shell_found() -> None:
    async with on_terminal(["sh", "-c", LOGIN_PROGRAM]) as (shell, transcript):
        await shell.log_in(Login(user="root", password="sesame"), {"A": "b"})
        assert (await shell.run("echo $A")).output == "b\n"
        assert transcript.text(0).count("login: ") == 2  # asked once; and of the last one


@pytest.mark.parametrize("password", ["wrong", None])
async def test_a_refused_login_is_an_error(password: str | None) -> None:
    async with on_terminal(["sh", "-c", LOGIN_PROGRAM]) as (shell, _):
        with pytest.raises(NodeError, match="login: root is refused") as caught:
            await shell.log_in(Login(user="root", password=password), {})
        assert caught.value.hint == "check user and password"


async def test_a_prompt_of_ones_own_and_colours() -> None:
    program = r"""export PS1='\033[1;32mready>\033[0m\033[6n'; PS1="$(printf "$PS1")" exec sh -i"""
    async with on_terminal(["sh", "-c", program]) as (shell, _):
        await shell.log_in(Login(prompt="^ready>$"), {})
        assert (await shell.run("echo yes")).output == "yes\n"


async def test_no_prompt_no_login() -> None:
    async with on_terminal(["cat"]) as (shell, _):
        with anyio.move_on_after(0.2) as scope:
            await shell.log_in(SHELL, {})
        assert scope.cancelled_caught


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=2 * PIECE))
def test_what_is_typed_is_plain_and_short_and_means_the_command(command: str) -> None:
    *pieces, last = _typed(command)
    for line in [*pieces, last]:
        assert line.isascii() and line.isprintable() and len(line) < PIECE + 100
    quoted = [re.search(r"'([^']*)'\Z", line) for line in pieces]
    whole = "".join(found[1] for found in quoted if found)
    final = re.search(r"'((?:[^'])*)'\)\"\) </dev/null 2>&1\Z", last)
    assert final is not None
    escaped = (whole + final[1]).encode()
    assert re.sub(rb"\\0(\d{3})", lambda match: bytes([int(match[1], 8)]), escaped) == command.encode()


async def test_what_is_too_long_ago_is_forgotten_but_positions_stay() -> None:
    transcript = Transcript()
    transcript.feed(b"first\n")
    for _ in range(9):
        transcript.feed(b"x" * (LIMIT // 4))
    transcript.feed(b"\nlast \xc3")
    transcript.feed(b"\xa4\n")
    assert transcript.end == len("first\n") + 9 * (LIMIT // 4) + len("\nlast \u00e4\n")
    match, end = await transcript.find(re.compile("last (.)\n"), 0)
    assert match[1] == "\u00e4" and end == transcript.end
    assert transcript.text(end - 2) == "\u00e4\n" and "first" not in transcript.text(0)
    assert transcript.last_lines(1) == "last \u00e4"

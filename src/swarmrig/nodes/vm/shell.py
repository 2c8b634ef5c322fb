"""A shell on a console: how to get to it, and how to have it run commands.

Console and shell are made for people: what is typed is echoed, prompts come in between, lines end with CR LF. So every
command is typed together with two marks that are printed around its output; as typed they are in two pieces, so the
echo is never taken for them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress

import anyio

from swarmrig.api.nodes import CommandResult
from swarmrig.errors import NodeError
from swarmrig.nodes.vm.options import Login
from swarmrig.nodes.vm.transcript import Transcript

PIECE = 600
"""Characters of a command that are typed at once: editors of command lines take a thousand or so."""
HANDSHAKE_S = 10.0
INTERRUPT_S = 1.0
CTRL_C = b"\x03"
LOGINS = 3
"""So often a name is asked for, before that counts as a refusal: a mistyped one is asked for again."""

_NAME = re.compile("login: ?")
_ASKED = re.compile(
    r"(?P<last>[Ll]ast login: )|(?P<name>login: ?)|(?P<password>[Pp]assword: ?)"
    r"|(?P<refused>[Ll]ogin incorrect|[Aa]uthentication failure)"
)
_UNSAFE = re.compile(rb"[^ -~]|[\\'!]")


class Shell:
    """The console of one life of a guest."""

    def __init__(self, node: str, transcript: Transcript, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._node = node
        self._transcript = transcript
        self._write = write
        self._turn = anyio.Lock()

    async def log_in(self, login: Login, variables: Mapping[str, str]) -> None:
        """Return when the shell answers and has the variables. Waits for ever; NodeError when the login is refused."""
        prompt = re.compile(login.prompt)
        if login.user is not None:
            await self._pass_login(login, login.user, prompt)
        while True:
            await self._transcript.until(lambda: prompt.search(self._transcript.open_line))
            with anyio.move_on_after(HANDSHAKE_S):  # what looked like a prompt need not have been one
                await self._round_trip("export " + " ".join(f"{name}={value}" for name, value in variables.items()))
                return

    async def run(self, command: str) -> CommandResult:
        """Run a command in a subshell of its own; waits for its end for ever."""
        async with self._turn:
            *pieces, last = _typed(command)
            for piece in pieces:
                await self._round_trip(piece)
            return await self._round_trip(last)

    async def _round_trip(self, words: str) -> CommandResult:
        token = secrets.token_hex(6)
        since = self._transcript.end
        line = f"printf '%s%s\\n' SWARM RIG-{token}; {words}; printf '%s%s %d.\\n' RIG SWARM-{token} $?\n"
        try:
            await self._write(line.encode())
            _, begin = await self._transcript.find(re.compile(f"SWARMRIG-{token}\r?\n"), since)
            match, end = await self._transcript.find(re.compile(rf"RIGSWARM-{token} (\d+)\."), begin)
        except BaseException:
            await self._interrupt()
            raise
        output = self._transcript.text(begin, end - len(match[0]))
        return CommandResult(int(match[1]), output.replace("\r\n", "\n"))

    async def _interrupt(self) -> None:
        """Nobody waits for the command any more: the shell is to be there for others."""
        with anyio.move_on_after(INTERRUPT_S, shield=True), suppress(NodeError):
            await self._write(CTRL_C)

    async def _pass_login(self, login: Login, user: str, prompt: re.Pattern[str]) -> None:
        """Answer what is asked for, until the shell's prompt is there."""
        transcript = self._transcript
        _, since = await transcript.find(_NAME, 0)
        await self._write(user.encode() + b"\n")
        names = 1

        def asked() -> re.Match[str] | None:
            return _ASKED.search(transcript.text(since)) or prompt.search(transcript.open_line)

        while True:
            match = await transcript.until(asked)
            if match.re is prompt:
                return
            since += match.end()
            if match["refused"] is not None or (match["name"] is not None and names == LOGINS):
                raise NodeError(self._node, f"login: {user} is refused on its console", hint="check user and password")
            if match["password"] is not None:
                await self._write((login.password or "").encode() + b"\n")
            elif match["name"] is not None:
                names += 1
                await self._write(user.encode() + b"\n")


def _typed(command: str) -> Iterator[str]:
    """What is typed to have the command run: one line, or several that gather it in a variable first.

    Whatever is not plain is written as `printf %b` reads it, so neither the line's editor nor the shell sees it.
    """
    plain = _UNSAFE.sub(lambda match: b"\\0%03o" % match[0][0], command.encode()).decode("ascii")
    pieces = re.findall(rf".{{1,{PIECE}}}(?<!\\)(?<!\\0)(?<!\\0\d)(?<!\\0\d\d)", plain) or [""]
    for number, piece in enumerate(pieces[:-1]):
        yield f"_swarmrig={'' if number == 0 else '$_swarmrig'}'{piece}'"
    gathered = "$_swarmrig" if len(pieces) > 1 else ""
    yield f"""(eval "$(printf '%b' "{gathered}"'{pieces[-1]}')") </dev/null 2>&1"""

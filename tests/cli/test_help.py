"""Help, usage and start-up of every command."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from swarmrig import __version__
from swarmrig.cli.main import COMMANDS, root


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(swarmrig, name):
    result = swarmrig(name, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: swarmrig {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_table_of_commands_says_what_their_help_says(name):
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").split("\n")[0] == COMMANDS[name]


def test_help_lists_every_command_and_the_exit_codes(swarmrig):
    result = swarmrig("--help")
    assert result.returncode == 0
    for name, text in COMMANDS.items():
        assert name in result.stdout
        assert text in result.stdout
    assert "130 interrupted" in result.stdout


def test_version(swarmrig_process):
    result = swarmrig_process("--version")
    assert (result.returncode, result.stdout) == (0, f"swarmrig {__version__}\n")


def below(command):
    """A command, or those of a group."""
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    return [command.get_command(context, name) for name in command.list_commands(context)]


def test_every_option_has_an_environment_variable_of_its_name():
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        for each in below(command):
            for parameter in each.params:
                if isinstance(parameter, click.Option):
                    expected = "SWARMRIG_" + parameter.opts[-1].lstrip("-").replace("-", "_").upper()
                    assert parameter.envvar == expected, (name, parameter.opts)


HEAVY = {"pydantic", "anyio", "asyncio", "rich", "ruamel", "typer", "swarmrig.runtime", "swarmrig.scenario"}


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from swarmrig.cli.main import COMMANDS, main\n"
        "for name in ['--help', *COMMANDS]: assert main([name, '--help']) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(result.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(swarmrig, shell):
    result = swarmrig("completion", shell)
    assert result.returncode == 0
    assert "_SWARMRIG_COMPLETE" in result.stdout


def complete(swarmrig, words: str, index: int) -> list[str]:
    env = {"_SWARMRIG_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    result = swarmrig(env=env)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_completion_of_commands_needs_none_of_their_modules(swarmrig):
    assert complete(swarmrig, "swarmrig p", 1) == ["plain,plan", "plain,presets"]


def test_completion_of_options_and_presets(swarmrig):
    assert "plain,--output-dir" in complete(swarmrig, "swarmrig run --out", 2)
    assert "plain,standard" in complete(swarmrig, "swarmrig run sta", 2)

"""`swarmrig completion`"""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    bash: `eval "$(swarmrig completion bash)"` in ~/.bashrc; zsh: the same in ~/.zshrc; fish:
    `swarmrig completion fish > ~/.config/fish/completions/swarmrig.fish`.
    """
    from swarmrig.cli.main import COMPLETION_VARIABLE
    from swarmrig.cli.output import say

    completion = get_completion_class(shell)
    assert completion is not None
    # The base class's source(): bash's own first starts a bash to ask for its version.
    script = ShellComplete.source(completion(ctx.find_root().command, {}, "swarmrig", COMPLETION_VARIABLE))
    say(script.rstrip("\n"))

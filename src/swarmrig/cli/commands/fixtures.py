"""`swarmrig fixtures generate|verify`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from swarmrig.cli.options import duration_of, json_option, option


@click.group("fixtures")
def command() -> None:
    """Make fixtures in a virtual machine, and verify them."""


@command.command("generate")
@click.argument("recipe", metavar="RECIPE", type=click.Path(path_type=Path, dir_okay=False))
@option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where they go.")
@option("--accelerator", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", help="Default: KVM if it works.")
@option("--timeout", "timeout_ns", metavar="TIME", callback=duration_of, default="15m", show_default=True,
        help="How long the guest may live.")  # fmt: skip
@option("--offline", is_flag=True, help="Fetch nothing: the image is built, or the store has every package.")
def generate(recipe: Path, **values: Any) -> int:
    """Boot the image of a recipe, have its generator make fixtures, take them over, and verify them.

    The image is built first when it is not there yet. Lines of the guest are printed as they come, and kept in
    console.log and generator.log. Fixtures are taken over only when the generator succeeded and every file that the
    recipe expects is there; no disk, no share and no emulator is left, whatever happens.

    Exit codes: 0 all is well, 2 a fixture is not what it should be, 3 they could not be made.
    """
    from swarmrig.cli.fixture_actions import generate_fixtures

    return generate_fixtures(recipe, **values)


@command.command("verify")
@click.argument("directory", metavar="DIRECTORY", type=click.Path(path_type=Path, file_okay=False))
@option("--expect", "names", multiple=True, metavar="NAME", help="A file that has to be there.")
@json_option
def verify(directory: Path, names: tuple[str, ...], as_json: bool) -> int:
    """Read every fixture in a directory with its parser, write it, read it again, and ask tshark of captures.

    Known are *.pcapng, lldp*.json and lldp*.xml (lldpctl), tc*.json (tc -j qdisc), ptp4l*.log, and SHA256SUMS.

    Exit codes: 0 all is well, 2 a fixture is not what it should be, 3 there is nothing to verify.
    """
    from swarmrig.cli.fixture_actions import verify_fixtures

    return verify_fixtures(directory, names, as_json=as_json)

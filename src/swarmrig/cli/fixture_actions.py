"""What `swarmrig fixtures` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio

from swarmrig.cli.image_actions import ready_image, with_spawner
from swarmrig.cli.output import counted, harmless, say, say_json
from swarmrig.errors import SwarmrigError
from swarmrig.fixtures.generate import Generated, GuestOptions, generate
from swarmrig.fixtures.recipe import load_recipe
from swarmrig.fixtures.verify import Verified, verify
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import EXIT_CODES, Outcome
from swarmrig.proc import Spawner


def generate_fixtures(
    path: Path,
    *,
    output: Path,
    accelerator: Literal["auto", "kvm", "tcg"],
    timeout_ns: int,
    offline: bool,
) -> int:
    """Make the fixtures of a recipe and verify them; returns the exit code."""
    recipe = load_recipe(path)
    if recipe.values.kind == "nix":
        hint = f"swarmrig image build {path} says where it is; boot it as you need it"
        raise SwarmrigError("only nix knows what an image of the kind `nix` is made of", hint=hint)
    expected = recipe.values.expects
    options = GuestOptions(accelerator=accelerator, deadline_s=timeout_ns / NS_PER_S)

    async def work(spawner: Spawner) -> tuple[Generated, list[Verified]]:
        image = await ready_image(spawner, recipe, None, None, offline=offline)
        began = anyio.current_time()

        def observe(line: str) -> None:
            say(f"[{anyio.current_time() - began:9.3f} s] guest        {harmless(line)}", stream=sys.stderr)

        made = await generate(spawner, image, expected, output, options, observe)
        return made, await verify(spawner, output, expected or made.files)

    made, results = with_spawner(work)
    code = _tell(results)
    say(f"{recipe.name}: {counted(len(made.files), 'file')} in {made.directory} (accelerator {made.accelerator})")
    return code


def verify_fixtures(directory: Path, names: Sequence[str], *, as_json: bool) -> int:
    """Say of each fixture what it holds, or what is wrong with it; returns the exit code."""
    results = with_spawner(lambda spawner: verify(spawner, directory, names))
    if as_json:
        say_json(results)
        return _code(results)
    return _tell(results)


def _tell(results: Sequence[Verified]) -> int:
    for each in results:
        say(f"{'PASS' if each.ok else 'FAIL':<6} {each.name:<16} {harmless(each.detail)}")
    return _code(results)


def _code(results: Sequence[Verified]) -> int:
    return 0 if all(each.ok for each in results) else EXIT_CODES[Outcome.FAIL]

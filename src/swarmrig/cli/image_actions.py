"""What `swarmrig image` does."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio

from swarmrig.cli.output import counted, say, say_json
from swarmrig.fixtures import image, locking, nix
from swarmrig.fixtures.apt import Mirror
from swarmrig.fixtures.lock import Lock, LockError, load_lock, lock_changes, read_lock, write_lock
from swarmrig.fixtures.recipe import Recipe, load_recipe
from swarmrig.fixtures.store import DebStore
from swarmrig.model.verdict import EXIT_CODES, Outcome
from swarmrig.proc import RunScope, Spawner, open_spawner

_T = TypeVar("_T")
MIB = 1 << 20


def renew_lock(path: Path, mirror: Mirror | None) -> None:
    """Write the lock and print what has changed in it."""
    recipe = load_recipe(path)
    if recipe.values.kind == "nix":
        with_spawner(lambda spawner: nix.renew_lock(spawner, recipe))
        say(f"{nix.check_lock(recipe)}: renewed by nix")
        return
    before = _former_lock(recipe)
    lock = with_spawner(lambda spawner: locking.make_lock(spawner, recipe, mirror))
    write_lock(lock, recipe)
    for change in lock_changes(before.packages if before else (), lock.packages):
        say(str(change))
    say(f"{recipe.lock_path}: {_described(lock)}")


def build_image(path: Path, output: Path | None, mirror: Mirror | None, *, offline: bool, as_json: bool) -> None:
    """Fetch what is missing, build, and print where the image is."""
    recipe = load_recipe(path)
    if recipe.values.kind == "nix":
        link = output or recipe.path.absolute().parent / "result"
        say(str(with_spawner(lambda spawner: nix.build(spawner, recipe, link))))
        return
    made = with_spawner(lambda spawner: ready_image(spawner, recipe, output, mirror, offline=offline))
    if as_json:
        say_json(made)
    else:
        say(str(made.directory))


async def ready_image(
    spawner: Spawner, recipe: Recipe, output: Path | None, mirror: Mirror | None, *, offline: bool
) -> image.Image:
    """The recipe's image, built from its lock if it is not there yet."""
    lock, store = load_lock(recipe), DebStore()
    if (there := await image.find_image(recipe, lock, output)) is not None:
        return there
    if not offline and (missing := store.missing(lock.packages)):
        say(f"fetching {counted(len(missing), 'package')} …", stream=sys.stderr)
        await locking.fill_store(spawner, recipe, lock, store, mirror)
    return await image.build_image(spawner, recipe, lock, store, output)


def with_spawner(work: Callable[[Spawner], Awaitable[_T]]) -> _T:
    """Run something that starts programs, and nothing else."""

    async def main() -> _T:
        async with open_spawner(RunScope.passing()) as spawner:
            return await work(spawner)

    return anyio.run(main)


def show_image(path: Path, *, as_json: bool) -> None:
    """Print a lock, or the manifest of a built image."""
    if path.is_dir():
        _show_built(image.load_image(path), as_json=as_json)
        return
    recipe = load_recipe(path)
    if recipe.values.kind == "nix":
        flake = f"{nix.flake_directory(recipe)}#{recipe.values.attribute}"
        say(f"{recipe.name}: nix, {flake}, lock {nix.check_lock(recipe)}")
        return
    lock = load_lock(recipe)
    if as_json:
        say_json({"name": recipe.name, "kind": recipe.values.kind, "digest": lock.digest, **_lock_values(lock)})
        return
    for package in lock.packages:
        mark = " (kernel)" if package.name == lock.kernel else ""
        say(f"{package.name:<28} {package.version:<32} {package.size:>10} {package.sha256[:16]}{mark}")
    say(f"{recipe.name}: {recipe.values.kind}, {_described(lock)}")


def check_image(path: Path, mirror: Mirror | None, *, offline: bool) -> int:
    """Print what stands in the way of a build; returns the exit code."""
    recipe = load_recipe(path)
    if recipe.values.kind == "nix":
        say(f"{recipe.name}: ok: {nix.check_lock(recipe)}; nix itself checks that it fits the flake")
        return 0
    lock, store = load_lock(recipe), DebStore()
    missing = store.missing(lock.packages)
    gone = missing
    if not offline:
        gone = with_spawner(lambda spawner: locking.gone(spawner, recipe, lock, store, mirror))
    for package in gone:
        say(f"gone: {package} (sha256 {package.sha256})")
    if gone:
        say(f"{recipe.name}: {len(gone)} of {counted(len(lock.packages), 'package')} cannot be had")
        return EXIT_CODES[Outcome.FAIL]
    here = len(lock.packages) - len(missing)
    say(f"{recipe.name}: ok: {_described(lock)}; {here} in the store")
    return 0


def _former_lock(recipe: Recipe) -> Lock | None:
    """The lock to compare with, which may be stale; none that was edited."""
    try:
        return read_lock(recipe)
    except LockError:
        return None


def _described(lock: Lock) -> str:
    releases = ", ".join(f"{suite} of {date}" for suite, date in sorted(lock.releases.items()))
    size = f"{lock.size / MIB:.1f} MiB"
    return f"{counted(len(lock.packages), 'package')}, {size}, {releases}, digest {lock.digest[:16]}"


def _lock_values(lock: Lock) -> dict[str, object]:
    return {"kernel": lock.kernel, "releases": lock.releases, "packages": lock.packages}


def _show_built(built: image.Image, *, as_json: bool) -> None:
    if as_json:
        say_json(built)
        return
    say(f"{built.name}: Linux {built.kernel_release}, tree {built.tree_digest[:16]}, lock {built.lock_digest[:16]}")
    for name, entry in built.files.items():
        say(f"  {name:<12} {entry.size:>11} bytes, sha256 {entry.sha256[:16]}")
    say(f"  modules: {' '.join(built.modules)}")
    say(f"  command line: {built.append}")

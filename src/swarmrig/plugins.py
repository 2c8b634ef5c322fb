"""Entry points to an explicit registry; built-in nodes, faults and checks come the same way as anybody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from swarmrig.errors import HostError

GROUPS = ("swarmrig.nodes", "swarmrig.faults", "swarmrig.checks")


@dataclass(frozen=True)
class Registry:
    """Names are known at once; a class is imported when it is first asked for."""

    points: Mapping[str, Mapping[str, EntryPoint]]

    @classmethod
    def load(cls) -> Registry:
        """What is installed. Two packages that claim one name are refused."""
        installed = entry_points()  # all at once: every call reads the metadata of every package
        return cls({group: _by_name(group, installed.select(group=group)) for group in GROUPS})

    def names(self, group: str) -> tuple[str, ...]:
        return tuple(sorted(self.points[f"swarmrig.{group}"]))

    def node(self, kind: str) -> Any:
        return self._get("swarmrig.nodes", kind)

    def fault(self, kind: str) -> Any:
        return self._get("swarmrig.faults", kind)

    def check(self, name: str) -> Any:
        return self._get("swarmrig.checks", name)

    @cached_property
    def _loaded(self) -> dict[tuple[str, str], Any]:
        return {}

    def _get(self, group: str, name: str) -> Any:
        if (group, name) not in self._loaded:
            point = self.points[group][name]
            try:
                self._loaded[group, name] = point.load()
            except (ImportError, AttributeError) as error:
                raise HostError(
                    f"the plugin {point.value!r} ({group}: {name}) cannot be loaded: {error}",
                    hint="repair or uninstall the package that brings it",
                ) from error
        return self._loaded[group, name]


def _by_name(group: str, points: Iterable[EntryPoint]) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in points:
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise HostError(
                f"two plugins claim {group} {point.name!r}: {other.value} and {point.value}",
                hint="uninstall one of them",
            )
    return found

"""Which links must fall so that sets of nodes cannot talk to each other.

On a segment everybody meets at one switch: there each member's link drops what comes from the other sets, by source
address, in its own direction only. In a routed network the links that join different sets go down; nothing reroutes.
Whoever is in no set talks to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from swarmrig.model.network import DevicePlan, LinkPlan, NetworkPlan
from swarmrig.net.topology import site_of

ADDRESSES_PER_FILTER = 200
"""A filter's text is limited (see wire.filter)."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Where two sets are kept apart."""

    link: str
    sender: str | None
    """The end whose frames are stopped; None: both."""
    sources: Mapping[str, int] | None
    """The sources that are stopped, with their set; None: everything, because the link is down."""
    sets: tuple[int, ...]
    """The receiver's set; without sources, those of both ends."""

    def filters(self) -> Iterator[str]:
        """The texts that stop the sources."""
        addresses = sorted(self.sources or ())
        for at in range(0, len(addresses), ADDRESSES_PER_FILTER):
            yield f"eth.src in {{{', '.join(addresses[at : at + ADDRESSES_PER_FILTER])}}}"

    def parted(self, sender: str, frame: bytes) -> tuple[int, ...]:
        """The sets that are kept apart by stopping this frame; none when it is none of its business."""
        if self.sources is None:
            return self.sets
        source = self.sources.get(frame[6:12].hex(":")) if sender == self.sender else None
        return () if source is None else (*self.sets, source)


def barriers(plan: NetworkPlan, sets: Sequence[Sequence[str]]) -> list[Barrier]:
    """What parts the sets of devices. ValueError when a name is no device, or the sets cannot be parted like that."""
    owner = _owners(plan, sets)
    found = list(_filtered(plan, owner) if plan.switches else _cut(plan, owner))
    if not plan.switches:
        _check_parted(plan, owner)
    return found


def _owners(plan: NetworkPlan, sets: Sequence[Sequence[str]]) -> dict[str, int]:
    names = {device.name for device in plan.devices}
    owner: dict[str, int] = {}
    for index, members in enumerate(sets):
        for name in members:
            if name not in names:
                raise ValueError(f"{name!r} is no node: there are {', '.join(sorted(names))}")
            if name in owner:
                raise ValueError(f"{name!r} is named twice")
            owner[name] = index
    return owner


def _filtered(plan: NetworkPlan, owner: Mapping[str, int]) -> Iterator[Barrier]:
    devices: dict[str, DevicePlan] = {name: plan.device(name) for name in owner}
    for name, device in devices.items():
        link = plan.link(device.link)
        sources = {devices[other].mac.lower(): owner[other] for other in owner if owner[other] != owner[name]}
        yield Barrier(link.name, _other_end(link, name), sources, (owner[name],))


def _cut(plan: NetworkPlan, owner: Mapping[str, int]) -> Iterator[Barrier]:
    for link in plan.links:
        a, b = (owner.get(site_of(plan, end)) for end in (link.a, link.b))
        if a is not None and b is not None and a != b:
            yield Barrier(link.name, None, None, (a, b))


def _check_parted(plan: NetworkPlan, owner: Mapping[str, int]) -> None:
    """Nobody who is in no set may carry frames from one set to another."""
    free = {site_of(plan, router.name) for router in plan.routers} - owner.keys()
    neighbours: dict[str, set[str]] = {}
    for link in plan.links:
        a, b = site_of(plan, link.a), site_of(plan, link.b)
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    for start in sorted(free):
        reached, ways = {start}, [start]
        while ways:
            new = neighbours[ways.pop()] - reached
            reached |= new
            ways += new & free
        met = {owner[name] for name in reached & owner.keys()}
        if len(met) > 1:
            raise ValueError(f"the sets still meet by way of {start}: name it in one of them")


def _other_end(link: LinkPlan, end: str) -> str:
    return link.b if end == link.a else link.a

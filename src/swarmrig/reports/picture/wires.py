"""Links in words, for listings and pictures."""

from __future__ import annotations

from collections.abc import Iterator

from swarmrig.model.network import Impairment, LinkPlan
from swarmrig.model.units import format_duration, format_rate


def describe_link(link: LinkPlan) -> str:
    """Both directions at once when they are alike."""
    there, back = describe_impairment(link.forward), describe_impairment(link.backward)
    return there if there == back else f"{link.a} to {link.b}: {there}; back: {back}"


def describe_impairment(impairment: Impairment) -> str:
    """What a direction of a link does to frames; `perfect` when nothing."""
    return ", ".join(_words(impairment)) or "perfect"


def _words(impairment: Impairment) -> Iterator[str]:
    if not impairment.up:
        yield "down"
    if impairment.latency_ns or impairment.jitter_ns:
        jitter = f" + 0..{format_duration(impairment.jitter_ns)}" if impairment.jitter_ns else ""
        yield format_duration(impairment.latency_ns) + jitter
    for name in ("loss", "duplicate", "reorder", "corrupt"):
        share = getattr(impairment, name)
        if share:
            yield f"{name} {share * 100:g}%"
    if impairment.burst is not None:
        yield f"bursts {impairment.burst.to_bad * 100:g}%/{impairment.burst.to_good * 100:g}%"
    if impairment.rate_bps is not None:
        yield format_rate(impairment.rate_bps)

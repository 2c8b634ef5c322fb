"""What can go wrong while a swarm is led by hand."""

from __future__ import annotations

from swarmrig.errors import SwarmrigError


class NotSeenError(SwarmrigError, AssertionError):
    """A console did not say in time what was expected; the message has the last that it said."""


class SwarmOverError(SwarmrigError):
    """The run is over, as it was asked to end or could not go on; the message says why."""

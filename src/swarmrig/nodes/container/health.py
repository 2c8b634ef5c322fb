"""A container's own opinion of itself: `HEALTHCHECK` of its image, or `health` of the scenario."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from swarmrig.errors import NodeError
from swarmrig.model.units import format_duration
from swarmrig.nodes.container.engine import asking

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer

HEALTHY, UNHEALTHY = "healthy", "unhealthy"
UNCHECKED: dict[str, Any] = {"Status": "none"}


async def wait_until_healthy(
    client: Docker, engine: Path, node: str, container: DockerContainer, deadline_ns: int
) -> bool:
    """Return True when it has been healthy for once; False, at once, when nobody has said how to see that.

    NodeError, with what the check said last, when it is unhealthy before that, or nothing yet after the deadline.
    """
    with asking(node, engine, "its health is not known"):
        if (state := await _health(container)) is UNCHECKED:
            return False
        if state["Status"] != HEALTHY:
            with anyio.move_on_after(deadline_ns / 1e9):
                await _decided(client, container)
            state = await _health(container)
    if state["Status"] == HEALTHY:
        return True
    what = "it is unhealthy" if state["Status"] == UNHEALTHY else f"not healthy after {format_duration(deadline_ns)}"
    raise NodeError(node, f"{what}{_said(state)}", hint="see `health:`, or HEALTHCHECK of its image")


async def _decided(client: Docker, container: DockerContainer) -> None:
    wanted = {"container": [container.id], "event": ["health_status"]}
    since = int(time.time()) - 1  # so that none is missed while the engine is being asked for them
    events = client.events.subscribe(filters=json.dumps(wanted), since=since)  # type: ignore[no-untyped-call]
    try:
        while (await _health(container))["Status"] not in (HEALTHY, UNHEALTHY):
            await events.get()
    finally:
        with anyio.CancelScope(shield=True):
            await client.events.stop()  # type: ignore[no-untyped-call]


async def _health(container: DockerContainer) -> dict[str, Any]:
    found: dict[str, Any] = (await container.show())["State"].get("Health") or UNCHECKED
    return found


def _said(state: dict[str, Any]) -> str:
    """The result of the last check."""
    log = state.get("Log") or []
    if not log:
        return "; its check has not been answered"
    return f"; its check says (exit {log[-1]['ExitCode']}): {str(log[-1]['Output']).strip()[-500:]}"

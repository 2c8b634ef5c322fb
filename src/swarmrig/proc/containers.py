"""List and remove a run's containers by their label, for clean-up: HTTP/1.0 over the engine's socket, no library.

The two requests are those of the Docker Engine API (`/containers/json`, `DELETE /containers/ID`); podman has them, too.
"""

from __future__ import annotations

import _socket
import json
import time
from urllib.parse import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LABEL = "swarmrig.run"
"""Every container of a run has this label; its value is the run id."""
NODE_LABEL = "swarmrig.node"
ANSWER_S = 5.0
SETTLE_S = 0.1
"""An engine that was just asked for a container by a rig that died may still be about to make it."""
MISSING = 404


def remove(engine: str, run_id: str, *, dry_run: bool = False) -> list[str]:
    """Remove, by force and with their anonymous volumes, all containers of the run that the engine behind the socket
    has; returns their names. OSError says why the engine did not do it."""
    names: list[str] = []
    found = _of_run(engine, run_id)
    while found:
        names += [_name(container) for container in found]
        if dry_run:
            break
        for container in found:
            _request(engine, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
        time.sleep(SETTLE_S)
        found = _of_run(engine, run_id)
    return list(dict.fromkeys(names))


def _of_run(engine: str, run_id: str) -> list[dict[str, Any]]:
    """Running and stopped ones."""
    wanted = quote(json.dumps({"label": [f"{LABEL}={run_id}"]}))
    found = json.loads(_request(engine, "GET", f"/containers/json?all=1&filters={wanted}"))
    # Checked again: an engine that knew no filters would name everybody's.
    return [container for container in found if (container.get("Labels") or {}).get(LABEL) == run_id]


def _name(container: dict[str, Any]) -> str:
    return str((container.get("Names") or [container["Id"][:12]])[0]).lstrip("/")


def _request(engine: str, method: str, path: str) -> bytes:
    """The body of the answer. OSError also when the engine refuses; that something is gone already is fine."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    try:
        sock.settimeout(ANSWER_S)
        sock.connect(engine)
        sock.send(f"{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        answer = bytearray()
        while data := sock.recv(1 << 16):
            answer += data
    finally:
        sock.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if not 200 <= status < 300 and status != MISSING:
        raise OSError(0, f"{method} {path.partition('?')[0]}: status {status}: {body[:300].decode(errors='replace')}")
    return body

"""Directories of runs made by hand, where their content matters."""

import json
from pathlib import Path

from swarmrig.model.network import DevicePlan, Fate, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.plan_file import dump_plan

MS = 1_000_000
S = 1_000_000_000

NETWORK = NetworkPlan(
    seed=1,
    devices=(
        DevicePlan("hub", "52:54:00:00:00:01", "hub", ip="10.0.0.1"),
        DevicePlan("s1", "52:54:00:00:00:02", "hub--s1", ip="10.0.0.2"),
    ),
    links=(
        LinkPlan("hub", "hub", "hub.switch", Impairment(latency_ns=0), Impairment(latency_ns=0), access=True),
        LinkPlan("hub--s1", "hub.switch", "s1"),
    ),
    switches=(SwitchPlan("hub.switch"),),
)


def datagram(number: int, source: str = "10.0.0.2", target: str = "10.0.0.1") -> bytes:
    """An IPv4 frame, told from others by its payload."""
    addresses = b"".join(bytes(map(int, each.split("."))) for each in (source, target))
    payload = number.to_bytes(8, "big")
    head = bytes.fromhex("4500") + (20 + 8 + 8).to_bytes(2, "big") + bytes.fromhex("000000004011") + b"\0\0"
    udp = bytes.fromhex("13891389") + (16).to_bytes(2, "big") + b"\0\0"
    return bytes.fromhex("520000000001520000000002") + b"\x08\x00" + head + addresses + udp + payload


class Made:
    """A run's directory, made by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "net").mkdir(parents=True)
        (path / "nodes").mkdir()
        (path / "net/plan.json").write_text(dump_plan(NETWORK))
        self._events: list[str] = []
        self.event("rig", "run.started", {"name": "by hand"}, 0)

    def event(self, source: str, kind: str, data: dict, t_ns: int) -> None:
        self._events.append(
            json.dumps({"n": len(self._events) + 1, "t": t_ns, "source": source, "kind": kind, "data": data})
        )
        (self.path / "events.jsonl").write_text("\n".join(self._events) + "\n")

    def console(self, node: str, content: bytes, times: dict[int, int] | None = None) -> None:
        place = self.path / "nodes" / node
        place.mkdir(exist_ok=True)
        (place / "console.log").write_bytes(content)
        for number, t_ns in (times or {}).items():
            self.event(node, "console", {"line": number, "text": ""}, t_ns)

    def capture(self, link: str, *frames: tuple[int, int, bytes] | tuple[int, int, bytes, Fate]) -> None:
        """Frames as (time, end, bytes[, fate])."""
        plan = NETWORK.link(link)
        with CaptureWriter(self.path / f"net/{link}.pcapng", (plan.a, plan.b)) as writer:
            for t_ns, end, data, *fate in frames:
                writer.record((t_ns, end, data, fate[0].value if fate else None))

    def results(self, checks=(), faults=(), **changes) -> None:
        nodes = [
            {"id": path.name, "role": "sensor", "kind": "qemu", "machine": "m", "boot_s": None, "exit_status": None,
             "console": f"nodes/{path.name}/console.log", "console_lines": 1}
            for path in sorted((self.path / "nodes").iterdir())
        ]  # fmt: skip
        run = {"name": "by hand", "run_ns": 10 * S, "planned_s": 10.0, "started_at": "2030-01-02T03:04:05Z", "seed": 1,
               "tier": "exact", "digest": None, "interrupted": False, "topology": "star"}  # fmt: skip
        document = {
            "format": 1, "run": run | changes.pop("run", {}), "verdict": "PASS", "exit_code": 0, "checks": list(checks),
            "nodes": nodes, "links": [], "faults": list(faults), "metrics": {}, "warnings": [], "failures": [],
        }  # fmt: skip
        (self.path / "results.json").write_text(json.dumps(document | changes))


def a_check(label: str = "fine", outcome: str = "PASS", message: str = "it was", *evidence: dict) -> dict:
    return {"name": label, "label": label, "outcome": outcome, "counted": outcome, "severity": "FAIL",
            "message": message, "evidence": list(evidence), "measured": {}}  # fmt: skip


def at_line(node: str, line: int, note: str = "") -> dict:
    file = f"nodes/{node}/console.log"
    return {"at": f"{file}:{line}", "file": file, "line": line, "note": note}


def at_frame(link: str, frame: int, note: str = "") -> dict:
    file = f"net/{link}.pcapng"
    return {"at": f"{file}#{frame}", "file": file, "frame": frame, "note": note}

"""What takes long before run time begins is told of while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

import swarmrig
from swarmrig.cli.view.sentences import line
from swarmrig.runtime import observer
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import telling

SLOW = """
swarmrig: 1
duration: 1s
nodes:
  slow: {kind: python, model: sensor, settings: {to: aggregator}, firmware: {build: [sh, -c, "sleep 0.3"]}}
"""


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def progress(self, snapshot: Any) -> None:
        """Nothing of it is heard."""


@pytest.mark.anyio
async def test_at_growing_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "PATIENCE_S", 0.001)
    heard = Heard()
    with anyio.fail_after(30):
        async with telling(heard, "gateway", "being prepared"):
            while len(heard.events) < 4:
                await anyio.sleep(0.001)
    assert [event.data["waited_s"] for event in heard.events[:4]] == [0.001, 0.002, 0.004, 0.008]
    assert line(Event(0, "gateway", "preparing", {"doing": "being prepared", "waited_s": 8.0})) == (
        "[    0.000 s] gateway      being prepared, 8 s so far"
    )


@pytest.mark.anyio
async def test_what_is_quick_is_not_told() -> None:
    heard = Heard()
    async with telling(heard, "gateway", "being prepared"):
        pass
    assert heard.events == []


@pytest.mark.anyio
async def test_what_fails_fails_as_it_would() -> None:
    with pytest.raises(LookupError, match="gone"):
        async with telling(Heard(), "gateway", "being prepared"):
            raise LookupError("gone")


def test_a_run_tells_but_does_not_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "PATIENCE_S", 0.05)
    (tmp_path / "slow.yml").write_text(SLOW)
    heard: list[Event] = []
    result = swarmrig.run(tmp_path / "slow.yml", output_dir=tmp_path / "runs", on_event=heard.append)
    assert result.success, result.problems
    assert [event.source for event in heard if event.kind == "preparing"][:1] == ["rig"]
    assert not any(event.kind == "preparing" for event in result.events)

"""Failure policies: what they record, what they let go on, and that they keep nodes out of virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.api.nodes import kept_flash
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import FailurePolicy, NetworkSpec, NodeSpec, OnFailure, Scenario, TimeMode
from swarmrig.runtime.failures import Failure, Failures, keep_flash
from swarmrig.runtime.tempo import settle_time

SECOND = 1_000_000_000


class Notes:
    """In place of a recorder."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.warnings: list[str] = []
        self.ends = 0

    def failure(self, source: str, message: str) -> None:
        self.failures.append(f"{source}: {message}")

    def warning(self, source: str, message: str) -> None:
        self.warnings.append(f"{source}: {message}")

    def end(self) -> None:
        self.ends += 1


def judging(policy: OnFailure) -> tuple[Notes, Failures]:
    notes = Notes()
    recorder: Any = notes
    return notes, Failures([NodeSpec("a", 0, on_failure=policy)], recorder, notes.end)


@pytest.mark.parametrize(("unfit", "ends"), [(False, 0), (True, 1)])
def test_fail(unfit: bool, ends: int) -> None:
    notes, failures = judging(OnFailure())
    assert failures.judge(Failure("a", "it broke", unfit=unfit)) is None
    assert (notes.failures, notes.warnings, notes.ends) == (["a: it broke"], [], ends)


@pytest.mark.parametrize("told", [False, True])
def test_ignore(told: bool) -> None:
    notes, failures = judging(OnFailure(FailurePolicy.IGNORE))
    assert failures.judge(Failure("a", "it broke", unfit=True, told=told)) is None
    assert (notes.failures, notes.ends) == ([], 0)
    assert notes.warnings == ([] if told else ["a: it broke\nthe run goes on without it"])


def test_restart_with_back_off_and_limit() -> None:
    policy = OnFailure(FailurePolicy.RESTART, SECOND, factor=3.0, at_most_ns=4 * SECOND, limit=3)
    notes, failures = judging(policy)
    delays = [failures.judge(Failure("a", "it broke", unfit=True)) for _ in range(4)]
    assert delays == [SECOND, 3 * SECOND, 4 * SECOND, None]
    assert notes.warnings[1] == "a: it broke\nstarted again after 3s (2 of 3)"
    assert notes.failures == ["a: it broke\nit has been started again 3 times before"]
    assert notes.ends == 1


def test_flash_is_kept_for_the_next_life(tmp_path: Path) -> None:
    assert keep_flash(tmp_path, 2) is None
    (tmp_path / "flash.bin").write_bytes(b"as it was left")
    kept = keep_flash(tmp_path, 2)
    assert kept == kept_flash(tmp_path, 2)
    assert kept is not None and kept.read_bytes() == b"as it was left"


class Able:
    """A backend of nodes that live in virtual time."""

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:
        return None


class Exact(Able):
    restarts_exactly = True


@pytest.mark.parametrize(
    ("backend", "policy", "inside"),
    [
        (Able, FailurePolicy.RESTART, False),
        (Exact, FailurePolicy.RESTART, True),
        (Able, FailurePolicy.IGNORE, True),
        (Able, FailurePolicy.FAIL, True),
    ],
)
def test_who_may_be_started_again_at_any_time_is_not_in_virtual_time(
    backend: Any, policy: FailurePolicy, inside: bool
) -> None:
    nodes = (NodeSpec("a", 0), NodeSpec("b", 1, kind="odd", on_failure=OnFailure(policy)))
    scenario = Scenario("s", SECOND, 0, TimeMode.AUTO, NetworkSpec(impairment=Impairment()), nodes)
    tempo = anyio.run(settle_time, scenario, {"qemu": Able(), "odd": backend()})
    assert (tempo.scenario.time is TimeMode.VIRTUAL) is inside
    assert tempo.outside == (frozenset() if inside else {"b"})
    assert all("node b: when it is started again" in reason for reason in tempo.reasons)

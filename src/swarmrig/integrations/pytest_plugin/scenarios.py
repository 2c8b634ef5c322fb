"""Scenario files as tests: what such a file checks is what the test asserts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.pytest_plugin.swarms import record, settings_for
from swarmrig.integrations.session.swarm import explain
from swarmrig.model.verdict import Outcome


class NotPassedError(Exception):
    """The run of a scenario file did not pass; the message says what did not, and where to look."""


class ScenarioFile(pytest.File):
    """A file with one scenario."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its only test; `-m swarm` selects it, as the tests that have the marker."""
        test = ScenarioTest.from_parent(self, name="scenario")
        test.add_marker(pytest.mark.swarm(self.path))
        yield test


class ScenarioTest(pytest.Item):
    """Runs the whole scenario. PASS and WARN pass, as an exit code of `swarmrig run` below 2 does."""

    def runtest(self) -> None:
        """Run it, and judge."""
        import swarmrig

        settings = settings_for(self.config, self.config.invocation_params.dir / "runs", {})
        result = swarmrig.run(self.path, **settings)
        record(self, result)
        if result.verdict not in (Outcome.PASS, Outcome.WARN) or result.record.interrupted:
            raise NotPassedError(explain(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What a user can repair is told without a traceback."""
        if isinstance(excinfo.value, NotPassedError | SwarmrigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands, and its name in reports."""
        return self.path, None, f"scenario {self.path.name}"

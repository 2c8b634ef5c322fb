"""Views that write lines: for logs, and for machines."""

from __future__ import annotations

from swarmrig.cli.output import harmless, say, say_json_line
from swarmrig.cli.view.sentences import line, timed
from swarmrig.model.verdict import Judgement
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot


class PlainLines:
    """One line per noteworthy event, and one when a check is decided."""

    def __init__(self) -> None:
        self._decided: dict[str, Judgement] = {}

    def on_event(self, event: Event) -> None:
        text = line(event)
        if text is not None:
            say(text)

    def progress(self, snapshot: Snapshot) -> None:
        for label, judgement in snapshot.checks.items():
            before = self._decided.get(label)
            if judgement is not None and (before is None or before.outcome is not judgement.outcome):
                self._decided[label] = judgement
                said = f"{label}: {judgement.outcome.value}: {judgement.message}"
                say(timed(snapshot.now_ns, "check", harmless(said)))


class JsonLines:
    """Every event as a JSON object on a line of its own."""

    def on_event(self, event: Event) -> None:
        say_json_line(event.as_json())

    def progress(self, snapshot: Snapshot) -> None:
        """Machines count events themselves."""

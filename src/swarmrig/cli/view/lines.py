"""Views that write lines: for logs, and for machines."""

from __future__ import annotations

from swarmrig.cli.output import say, say_json_line
from swarmrig.cli.view.sentences import line
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot


class PlainLines:
    """One line per noteworthy event."""

    def on_event(self, event: Event) -> None:
        text = line(event)
        if text is not None:
            say(text)

    def progress(self, snapshot: Snapshot) -> None:
        """Lines tell what happened, not how things stand."""


class JsonLines:
    """Every event as a JSON object on a line of its own."""

    def on_event(self, event: Event) -> None:
        say_json_line(event.as_json())

    def progress(self, snapshot: Snapshot) -> None:
        """Machines count events themselves."""

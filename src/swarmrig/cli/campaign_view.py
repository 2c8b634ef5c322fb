"""What is shown while a campaign goes on: progress on a terminal, a line for each run elsewhere, JSON for machines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarmrig.campaigns.conduct import CampaignObserver
from swarmrig.campaigns.junit import failure_of
from swarmrig.campaigns.results import Entry
from swarmrig.campaigns.task import Attempt, Ending, Task, TaskResult
from swarmrig.cli.output import counted, harmless, say, say_json_line
from swarmrig.cli.view import is_lively
from swarmrig.model.verdict import Outcome


@contextmanager
def open_view(total: int, done: int, *, as_json: bool) -> Iterator[CampaignObserver]:
    """The view that suits stdout, for the time of a campaign of `total` runs, of which so many were `done` before."""
    if as_json:
        yield JsonLines()
    elif is_lively():
        with _progress(total, done) as view:
            yield view
    else:
        yield Lines()


def line_of(task: Task, result: TaskResult) -> str:
    """What became of a task, on a line."""
    word = Entry(task, result).word
    why = "" if result.verdict is Outcome.PASS else f": {_why(result)}"
    quarantine = "" if task.quarantine is None else f" (quarantined: {task.quarantine})"
    return harmless(f"{word:<9} {task.id} {result.wall_s:.1f} s{quarantine}{why}").replace("\n", " ")


def _why(result: TaskResult) -> str:
    return failure_of(result) if result.ending is Ending.JUDGED else result.attempts[-1].reason


def retry_line(task: Task, attempt: Attempt) -> str:
    """That a task is tried again, and why."""
    return harmless(f"{'RETRY':<9} {task.id}: attempt {attempt.number} on {attempt.worker}: {attempt.reason}")


class Lines:
    """A line for each run that has ended, or is tried again."""

    def on_start(self, task: Task, attempt: int) -> None: ...

    def on_retry(self, task: Task, attempt: Attempt) -> None:
        say(retry_line(task, attempt), stream=sys.stderr)

    def on_end(self, task: Task, result: TaskResult) -> None:
        say(line_of(task, result))


class JsonLines:
    """A line of JSON for everything that happens."""

    def on_start(self, task: Task, attempt: int) -> None:
        say_json_line({"kind": "task.started", "task": task.id, "attempt": attempt})

    def on_retry(self, task: Task, attempt: Attempt) -> None:
        say_json_line({"kind": "task.retried", "task": task.id, "attempt": attempt})

    def on_end(self, task: Task, result: TaskResult) -> None:
        told = {"verdict": result.verdict, "ending": result.ending, "wall_s": result.wall_s, "worker": result.worker}
        told |= {"directory": result.directory, "attempts": len(result.attempts), "quarantine": task.quarantine}
        say_json_line({"kind": "task.ended", "task": task.id, **told})


@contextmanager
def planning(*, as_json: bool) -> Iterator[Callable[[int], None]]:
    """To be told how many combinations are planned; shown where somebody looks, for many take a while."""
    from rich.console import Console

    terminal = Console(stderr=True)
    if as_json or not terminal.is_terminal:
        yield lambda _count: None
        return
    with terminal.status("planning") as status:
        yield lambda count: status.update(f"{counted(count, 'combination')} planned")


@contextmanager
def _progress(total: int, done: int) -> Iterator[CampaignObserver]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeRemainingColumn())
    with Progress(*columns, console=Console(), speed_estimate_period=600) as progress:
        bar = progress.add_task("", total=total, completed=done)
        counts: Counter[str] = Counter()
        running: set[str] = set()

        def show() -> None:
            told = [f"{count} {word}" for word, count in counts.items()]
            progress.update(bar, description=", ".join([*told, f"{len(running)} under way"]))

        class Live:
            """A bar, and above it what did not pass."""

            def on_start(self, task: Task, attempt: int) -> None:  # noqa: ARG002 - the contract
                running.add(task.id)
                show()

            def on_retry(self, task: Task, attempt: Attempt) -> None:
                progress.console.print(Text(retry_line(task, attempt)))

            def on_end(self, task: Task, result: TaskResult) -> None:
                running.discard(task.id)
                counts[Entry(task, result).word] += 1
                progress.advance(bar)
                if result.verdict is not Outcome.PASS:
                    progress.console.print(Text(line_of(task, result)))
                show()

        yield Live()

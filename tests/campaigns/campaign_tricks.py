"""A scenario of one small node whose tricks make runs end as a test needs them to."""

from pathlib import Path

MODEL = '''
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from swarmrig.nodes.python import Model


class Trick(Model):
    @dataclass(frozen=True)
    class Settings:
        do: str = "say_good"
        mark: str = ""

    def on_start(self):
        getattr(self, self.settings.do)()

    def first_time(self):
        try:
            os.close(os.open(self.settings.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def say_good(self):
        self.log("good")

    def say_bad(self):
        self.log("bad")

    def say_bad_once(self):
        self.log("bad" if self.first_time() else "good")

    def say_who(self):
        self.log(f"good {os.getpid()}")

    def kill_the_rig_once(self):
        self.kill_the_rig() if self.first_time() else self.log("good")

    def kill_the_rig(self):
        """The guardian was told the rig's pid when it was started."""
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\\0")
        os.kill(int(words[7]), signal.SIGKILL)
'''

SCENARIO = """\
swarmrig: 1
name: trick
duration: 200ms
time: virtual
network: {topology: star, hub: hub, link: {latency: 5ms}}
defaults: {kind: python}
nodes:
  hub: {role: coordinator, model: "./trick.py:Trick"}
  t: {model: "./trick.py:Trick"}
checks:
  - console: {node: t, matches: good}
  - console: {absent: nonsense}
"""
"""What must be absent is decided in the end: in real time the run lasts as long as it may."""


def trick(do: str, mark: Path | str = "none") -> str:
    """The setting for a trick."""
    return f"nodes.t.settings={{do: {do}, mark: {mark}}}"


def campaign(place: Path, text: str) -> Path:
    """A campaign file of this text in `place`, with the scenario beside it."""
    (place / "trick.py").write_text(MODEL)
    (place / "trick.swarmrig.yml").write_text(SCENARIO)
    file = place / "night.campaign.yml"
    file.write_text(f"campaign: 1\nscenarios: [trick.swarmrig.yml]\n{text}")
    return file

"""From a campaign that is run to its page and its history: real runs, and what is said of two campaigns."""

import json
import subprocess
import sys

SCENARIO = """\
swarmrig: 1
name: one
duration: 2s
time: virtual
network: {topology: star, hub: coord}
nodes:
  coord: {role: coordinator}
  s1: {role: sensor, config: {tdm_slot: 1}}
checks:
  - all_nodes_boot
"""
LATER = '  - console: {node: s1, matches: "never said", within: 1s}\n'
CAMPAIGN = """\
campaign: 1
name: small
scenarios: [one.swarmrig.yml]
seeds: [1, 2]
"""


def swarmrig(*words, expected=0):
    command = [sys.executable, "-m", "swarmrig", "campaign", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def test_a_campaign_is_run_shown_remembered_and_compared(tmp_path):
    """One that passed, and one that failed after its scenario had changed."""
    (tmp_path / "small.campaign.yml").write_text(CAMPAIGN)
    history = tmp_path / "h.sqlite"
    for number, text in enumerate((SCENARIO, SCENARIO + LATER)):
        (tmp_path / "one.swarmrig.yml").write_text(text)
        words = ("run", tmp_path / "small.campaign.yml", "--output-dir", tmp_path / f"runs{number}")
        told = swarmrig(*words, "--history", history, expected=2 * number)
        assert f"history: {history}" in told
        assert f"report: {tmp_path}/runs{number}/small-" in told
    directories = [next((tmp_path / name).iterdir()) for name in ("runs0", "runs1")]

    page = (directories[1] / "report.html").read_text()
    assert page.count("swarmrig replay ") == 2
    for task in json.loads((directories[1] / "campaign.json").read_text())["tasks"]:
        run = task["result"]["directory"]
        assert f'href="{run}/"' in page
        assert f"swarmrig run {directories[1]}/{run}/" in page

    told = swarmrig("compare", *directories, expected=2)
    assert "newly failing (2)\n  one.swarmrig.yml seed 1: FAIL (" in told
    assert "\n  one.swarmrig.yml seed 1 and 1 more: the scenario, or its settings\n" in told
    trends = json.loads(swarmrig("trends", "--history", history, "--json"))
    assert [each["pass_rate"] for each in trends["campaigns"]] == [1.0, 0.0]
    changes = [[change["name"] for change in each["changes"]] for each in trends["broken"]]
    assert changes == [["the scenario, or its settings"]] * 2

    assert ": 0 new runs of 2" in swarmrig("import", *reversed(directories), "--history", history)
    swarmrig("import", *reversed(directories), "--history", tmp_path / "other.sqlite")
    first, second = (swarmrig("trends", "--history", file) for file in (history, tmp_path / "other.sqlite"))
    assert first == second

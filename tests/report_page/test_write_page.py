"""The files of the page, and the commands that make them."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from tests.report_page.by_hand import MS, S, a_check, at_line

from swarmrig.cli import session
from swarmrig.cli.main import root
from swarmrig.errors import HostError, MissingExtraError
from swarmrig.model.network import DevicePlan, Impairment, LinkPlan, NetworkPlan
from swarmrig.net.plan_file import dump_plan
from swarmrig.reports.page import render
from swarmrig.reports.page.data import page_data, spans
from swarmrig.reports.page.material import read_material
from swarmrig.reports.page.repeating import repeated
from swarmrig.reports.page.topology import drawing
from swarmrig.reports.page.words import short, target
from swarmrig.reports.web import files
from swarmrig.reports.web.files import as_script
from swarmrig.runtime.events import Event


def test_page_and_what_it_loads(made):
    made.console("s1", b"hello\n", {1: S})
    made.results([a_check("greets", "PASS", "it said hello", at_line("s1", 1))])
    page = render.write_page(made.path)
    assert page == made.path / "report.html"
    text = page.read_text()
    assert "it said hello" in text
    assert {path.name for path in (made.path / "report").iterdir()} == {
        name.removeprefix("report/") for name in text.split('"') if name.startswith("report/")
    }
    assert "http" not in text.replace("http-equiv", "")
    assert not list(made.path.rglob(".*"))


def test_it_can_be_made_again_and_gives_the_same(made):
    made.results([a_check()])
    first = render.write_page(made.path).read_bytes()
    assert render.write_page(made.path / "results.json").read_bytes() == first


@pytest.mark.parametrize(
    ("interrupted", "verdict", "looks"),
    [(False, "PASS", "pass"), (True, "PASS", "warn"), (True, "FAIL", "fail"), (False, "FATAL", "fatal")],
)
def test_what_passed_until_it_was_interrupted_is_not_green(made, interrupted, verdict, looks):
    made.results(run={"interrupted": interrupted}, verdict=verdict)
    assert f'class="verdict {looks}"' in render.write_page(made.path).read_text()


def test_what_most_links_do_is_said_once(made):
    made.results()
    material = read_material(made.path)
    assert drawing(material).usual == ""
    ends = [DevicePlan(f"s{n}", f"52:54:00:00:00:{n:02x}", "") for n in range(5)]
    links = [
        LinkPlan(f"s{n}--hub", f"s{n}", "hub", *[Impairment(latency_ns=(1 if n else 9) * MS)] * 2) for n in range(5)
    ]
    material.network = NetworkPlan(1, (DevicePlan("hub", "52:54:00:00:00:ff", ""), *ends), tuple(links))
    assert drawing(material).usual == "1ms"
    (made.path / "net/plan.json").write_text(dump_plan(material.network))
    page = render.write_page(made.path).read_text()
    assert "A link without words: 1ms." in page
    assert page.count(">9ms</text>") == 1
    assert ">1ms</text>" not in page


def test_data_cannot_end_its_script():
    text = as_script({"text": "</script><!-- \u2028", "bad": float("nan")})
    assert text == 'window.RUN = {"text":"</script><!-- \\u2028","bad":null};\n'


def test_node_states_follow_each_other():
    events = [Event(0, "a", "node.started"), Event(5, "b", "node.started"), Event(7, "a", "node.unheard"),
              Event(9, "a", "node.booted"), Event(9, "a", "node.exited")]  # fmt: skip
    assert spans(events, "a", 20) == [(0, 9, "started"), (9, 20, "exited")]
    assert spans(events, "nobody", 20) == []


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"checks": [a_check(), a_check("b", "FAIL")]}, "1 of 2 checks passed."),
        ({"failures": ["gone"]}, "Nothing was checked, 1 failure of the rig or its nodes."),
        ({"run": {"interrupted": True}}, "Nothing was checked, interrupted at 10.000 s: only what had been seen"),
    ],
)
def test_the_verdict_in_a_sentence(made, results, expected):
    made.results(**results)
    assert render.why(read_material(made.path)).startswith(expected)


def test_reasons_are_the_worst_first_and_inconclusive_is_one(made):
    inconclusive = a_check("unseen", "INCONCLUSIVE") | {"counted": "FATAL"}
    made.results([a_check("mild", "WARN"), a_check(), a_check("hard", "FAIL"), inconclusive])
    assert [each["label"] for each in render.reasons(read_material(made.path))] == ["unseen", "hard", "mild"]


def test_commands_repeat_the_run_from_where_it_is(made):
    assert repeated(made.path, None) == []
    (made.path / "scenario.yml").write_text("swarmrig: 1\n")
    told = [command for _, command in repeated(made.path, "ab" * 32)]
    assert told == [f"swarmrig replay {made.path}", f"swarmrig run {made.path}/scenario.yml"]
    for node in ("s2", "s1"):
        (made.path / f"net/{node}.inputs").touch()
    assert repeated(made.path, None)[0][1] == f"swarmrig replay {made.path} --node s1"
    (made.path / "repeat.swarmrig.yml").write_text("swarmrig: 1\n")
    assert repeated(made.path, None)[-1][1].endswith("/repeat.swarmrig.yml")


def test_evidence_leads_to_lines_and_frames():
    assert target({"file": "nodes/a b/console.log", "line": 3})["href"] == "nodes/a%20b/console.log"
    assert target({"file": "net/a--b.pcapng", "frame": 7})["link"] == "a--b"
    assert target({"file": "events.jsonl"})["node"] is target({"file": "events.jsonl"})["link"] is None
    assert target({"file": "javascript:alert(1)"})["href"] == "javascript%3Aalert%281%29"


def test_short_times_are_told_in_ms():
    assert (short(440_864), short(2 * S)) == ("0.44 ms", "2.000 s")


def test_evidence_of_a_run_is_in_the_data(a_run):
    material = read_material(a_run("failing"))
    data = page_data(material)
    for check in data["checks"]:
        for item in check["evidence"]:
            if "line" in item:
                (node,) = (node for node in data["nodes"] if node["id"] == item["file"].split("/")[1])
                assert item["line"] in [line[0] for line in node["lines"]]
            elif "frame" in item:
                (link,) = (link for link in data["links"] if f"net/{link['name']}.pcapng" == item["file"])
                assert item["frame"] in [frame[0] for frame in link["frames"]]
    (cut,) = (link for link in data["links"] if link["name"] == "coord--s1")
    down = [step * data["step"] for step, count in enumerate(cut["down"]) if count]
    assert 4 * S <= down[0] <= down[-1] < 6 * S


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(made, tmp_path, megabytes):
    """Really full: the run's directory is on a file system that has no room for the page, in a mount namespace."""
    made.console("s1", b"a line that is long enough to be seen\n" * 50_000)
    made.results([a_check()])
    small, done_to = tmp_path / "small", tmp_path / "after.txt"
    small.mkdir()
    inside = (
        f"mount -t tmpfs -o size=6m none {small}; cp -r {made.path} {small}/run; "
        f"dd if=/dev/zero of={small}/other bs=1024 count=$(( $(stat -f -c '%a * 4' {small}) - {megabytes} * 1024 )) "
        f"status=none; {sys.executable} -m swarmrig report {small}/run; echo $?; cd {small}/run; find . > {done_to}"
    )
    done = subprocess.run(["unshare", "-rm", "bash", "-c", inside], capture_output=True, text=True, check=False)
    if done.stderr.startswith("unshare: "):
        pytest.skip(f"no user namespaces here: {done.stderr}")
    assert done.stdout == "3\n", done
    assert "No space left on device" in done.stderr
    assert "free some space, then: swarmrig report" in done.stderr
    left = done_to.read_text().splitlines()
    assert "./report.html" not in left
    assert not [name for name in left if "/." in name.removeprefix("./")]


def test_a_disk_that_takes_no_more_is_told_and_leaves_no_page(made):
    """Here, because files may not be longer than a megabyte."""
    made.results()
    command = f"ulimit -f 1000; exec {sys.executable} -m swarmrig report {made.path}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 3
    assert f"cannot write {made.path}/report/plotly.min.js: File too large" in done.stderr
    assert f"swarmrig report {made.path}" in done.stderr
    assert not (made.path / "report.html").exists()
    assert not list(made.path.rglob(".*"))


def test_what_is_in_the_way_is_told(made):
    made.results()
    (made.path / "report").write_text("in the way")
    with pytest.raises(HostError, match=r"File exists|Not a directory"):
        render.write_page(made.path)
    assert not (made.path / "report.html").exists()


def test_without_the_libraries_the_extra_is_named(made, monkeypatch):
    made.results()
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="swarmrig\\[report\\]"):
        render.write_page(made.path)


def test_the_command_tells_where_the_page_is(made):
    made.results()
    done = CliRunner().invoke(root, ["report", str(made.path)], standalone_mode=False)
    assert done.output == f"report: {made.path}/report.html\n"


def test_the_command_refuses_what_is_no_run(tmp_path):
    done = subprocess.run([sys.executable, "-m", "swarmrig", "report", tmp_path], capture_output=True, text=True)
    assert done.returncode == 3
    assert "is not the directory of a run" in done.stderr
    assert "hint:" in done.stderr


def test_a_run_makes_its_page_when_asked_to(finished):
    directory = finished("passing")
    assert (directory / "report.html").exists()
    told = (directory.parent.parent / "told.txt").read_text().splitlines()
    assert told[-2].startswith("report: ")
    assert told[-2].endswith("/report.html")
    assert told[-1].startswith("results: ")


def test_a_page_that_cannot_be_made_changes_no_verdict(capsys, made, monkeypatch):
    made.results()
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    assert session._page(made.path) is None
    assert "warning: a report needs the extra 'report'" in capsys.readouterr().err

"""The page of a run in a real browser."""

import shutil
from pathlib import Path

from tests.report_page import in_browser
from tests.report_page.by_hand import MS, S, a_check, at_frame, at_line, datagram
from tests.report_page.in_browser import EVIL, SCRIPT, Tab

from swarmrig.model.network import DevicePlan, Fate, LinkPlan, NetworkPlan
from swarmrig.net.plan_file import dump_plan
from swarmrig.reports.page.render import write_page

browser, tab, opened, pytestmark = in_browser.browser, in_browser.tab, in_browser.opened, in_browser.pytestmark


def test_a_run_that_passed(opened, a_run):
    directory = a_run("passing")
    page = opened(write_page(directory), plots=True)
    page.picture("passing-light")
    assert page.text("#verdict .word") == "PASS"
    assert "2 of 2 checks passed, 2 of 2 faults proved to have happened." in page.text("#verdict")
    assert page.text("#again").count("swarmrig replay ") == 2
    assert "--node coord" in page.text("#again")
    assert all(url.startswith(directory.as_uri()) for url in page.loaded if not url.startswith("data:"))
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"

    # The network at a moment.
    link = page.page.locator(".wire[data-link='coord--s1']")
    for seconds, state in ((5, "cut"), (11, "up")):
        page.page.evaluate(f"location.hash = ''; document.querySelector('#moment').value = {seconds}e9 / RUN.step")
        page.page.dispatch_event("#moment", "input")
        assert link.get_attribute("class").split()[1] in {state, "lossy" if state == "up" else state}
    # waited for by functions: the page lets nothing evaluate a text, which is done again at each look
    cursor = "document.querySelector('#timeline-plot').layout.shapes.at(-1).x0"
    page.page.wait_for_function(f"() => {cursor} === Number(document.querySelector('#moment').value) * RUN.step / 1e9")
    assert page.page.evaluate("[...document.querySelectorAll('#network svg > g')].at(-1).classList[0]") == "place"
    page.page.focus("#moment")
    before = page.text("#moment-text")
    page.page.keyboard.press("ArrowRight")
    assert page.text("#moment-text") > before

    # All plots show the same time, also by keyboard.
    assert page.ranges() == [[0, 12]] * 4
    page.page.click("[data-zoom=in]")
    page.page.wait_for_function("() => document.querySelector('#latency-plot').layout.xaxis.range[0] == 3")
    assert page.ranges() == [[3, 9]] * 4
    page.page.focus("#timeline-plot")
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("ArrowLeft")
    page.page.wait_for_function("() => document.querySelector('#latency-plot').layout.xaxis.range[0] == 0")
    assert page.ranges() == [[0, 6]] * 4
    page.page.keyboard.press("0")
    page.page.wait_for_function("() => document.querySelector('#latency-plot').layout.xaxis.range[1] == 12")
    page.page.check("input[name=per][value=nodes]")
    page.page.wait_for_function(
        "() => document.querySelector('#rate-plot').data.map(t => t.name).join() == 'coord,s1,s2'"
    )


def test_a_run_that_failed_leads_to_its_evidence(opened, a_run):
    page = opened(write_page(a_run("failing")), colours="dark", plots=True)
    page.picture("failing-dark")
    assert page.text("#verdict .word") == "FAIL"
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"
    reasons = page.page.locator(".reasons > li")
    assert ["console" in reasons.nth(0).inner_text(), "latency" in reasons.nth(1).inner_text()] == [True, True]

    pointer = reasons.nth(0).locator("a.evidence").first
    line = pointer.inner_text().rpartition(":")[2]
    pointer.click()
    assert page.text("#console-lines .target").split()[0] == line
    assert page.page.evaluate("location.hash") == f"#console/s1/{line}"
    assert page.page.evaluate("document.activeElement.id") == "console-lines"

    pointer = reasons.nth(1).locator("a.evidence").first
    frame = pointer.inner_text().rpartition("#")[2]
    pointer.press("Enter")
    assert page.text("#frame-table .target td").split()[0] == frame
    assert "csi.seq" in page.text("#frame-table .target + tr")
    assert page.page.locator("#frame-table .target .open").get_attribute("aria-expanded") == "true"
    page.picture("failing-evidence-dark", whole=False)

    # A mark of the timeline leads there, too.
    script = "const p = document.querySelector('#timeline-plot'), t = p.data.find(t => t.name == 'fault: observed');" \
             "p.emit('plotly_click', {points: [{customdata: t.customdata[0], x: t.x[0]}]})"  # fmt: skip
    page.page.evaluate(script)
    assert "drop: link down" in page.text("#frame-table .target")
    # The library of plots reads a little HTML in texts: not in those of a run.
    page.page.evaluate("name => { RUN.nodes[0].id = RUN.faults[0].id = name; new Plots(RUN, () => {}); }", EVIL[:24])
    page.page.wait_for_function(
        "name => document.querySelector('#timeline-plot').textContent.includes(name)", arg=EVIL[:23]
    )
    assert page.page.locator("#timeline-plot img").count() == 0

    page.page.fill("#frame-filter", "link down")
    fates = page.page.locator("#frame-table tbody tr td:nth-child(5)").all_inner_texts()
    assert fates
    assert set(fates) == {"drop: link down"}


def test_an_interrupted_run_on_a_narrow_screen(opened, a_run):
    page = opened(write_page(a_run("interrupted")), size=(375, 800), plots=True)
    page.picture("interrupted-375")
    assert page.text("#verdict .badge.interrupted") == "interrupted"
    assert "interrupted at" in page.text(".why")
    assert page.page.evaluate("document.documentElement.scrollWidth") == 375
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "skip"


def test_consoles_are_searched(opened, made):
    made.console(
        "s1", b"one\nI (0) main_task: Calling app_main()\nfind me\nfour\nfind me too\n", {1: S, 3: 3 * S, 5: 5 * S}
    )
    made.console("s2", b"between\nE (7) a: gone\n", {1: 2 * S, 2: 4 * S})
    made.results([a_check("all", "PASS", "said", at_line("s1", 3))])
    page = opened(write_page(made.path))
    status, target = "#console-status", "#console-lines .target"
    page.page.keyboard.press("/")
    page.page.keyboard.type("FIND")
    assert page.text(status) == "2 found"
    assert page.page.locator("#console-lines mark").all_inner_texts() == ["find", "find"]
    page.page.keyboard.press("Enter")
    assert (page.text(status), page.text(target).split()[0]) == ("1 of 2 found", "3")
    page.page.click("#console-next")
    assert (page.text(status), page.text(target).split()[0]) == ("2 of 2 found", "5")
    page.page.press("#console-search", "Enter")
    assert page.text(target).split()[0] == "3"
    page.page.press("#console-search", "Shift+Enter")
    assert page.text(target).split()[0] == "5"
    page.page.fill("#console-search", "/^f\\w+$/")
    assert page.text(status) == "1 found"
    page.page.fill("#console-search", "/(/")
    assert page.text(status) == "not a regular expression"
    page.page.fill("#console-search", "nowhere")
    assert page.text(status) == "not found"
    page.page.press("#console-search", "Escape")
    page.page.select_option("#console-node", "all")
    who = page.page.locator("#console-lines .who").all_inner_texts()
    assert who == ["s1", "s1", "s2", "s1", "s1", "s2", "s1"]
    page.page.check("#console-marked")
    assert page.page.locator("#console-lines .row").count() == 3


def test_what_nodes_say_is_shown_and_never_run(opened, made):
    made.console(
        EVIL, f"{SCRIPT}\n<b>bold</b> {{{{ 7 * 7 }}}} \u2028 '\"\n".encode() + bytes(range(256)) + b"\n", {1: S}
    )
    made.event(EVIL, "node.started", {}, 0)
    made.event(EVIL, "node.exited", {"status": SCRIPT}, 9 * S)
    made.event("faults", "fault", {"id": SCRIPT, "stage": "injected", "link": EVIL}, S)
    made.capture("hub--s1", (S, 1, datagram(1)), (S, 1, b"<script>alert(3)</script>" * 3))
    fault = {"id": SCRIPT, "kind": "cut", "description": EVIL, "at_ns": S, "stages": [{"stage": "injected", "t_ns": S}],
             "status": "failed", "proved": False, "message": SCRIPT, "evidence": []}  # fmt: skip
    evil = a_check(SCRIPT, "FAIL", EVIL, at_line(EVIL, 1, EVIL), {"at": EVIL, "file": "javascript:alert(4)"})
    made.results([evil], [fault], verdict="FAIL", warnings=[EVIL], failures=[SCRIPT], run={"name": EVIL, "tier": EVIL})
    page = opened(write_page(made.path))
    assert page.text("h1") == EVIL
    assert page.page.title() == f"FAIL: {EVIL}"
    assert SCRIPT in page.text("#verdict")
    page.page.locator(".reasons a.evidence").first.click()
    assert page.text("#console-lines .target").endswith(SCRIPT)
    assert "{{ 7 * 7 }}" in page.text("#console-lines")
    assert page.page.locator("body img, body script, main b:not(.decoded b)").count() == 0
    assert page.page.locator("a[href^='javascript:']").count() == 0


def test_without_a_script_the_verdict_is_read_and_evidence_are_files(browser, made):
    made.console("s1", b"one\ntwo\n")
    check = a_check("quiet", "FAIL", "it said two", at_line("s1", 2, "here"), at_frame("hub--s1", 1))
    made.results([check], verdict="FAIL")
    page = Tab(browser, java_script_enabled=False).open(write_page(made.path))
    page.picture("no-script", whole=False)
    assert page.text("#verdict .word") == "FAIL"
    assert "quiet: it said two" in page.text(".reasons")
    assert "Without JavaScript" in page.text("#verdict")
    assert not page.page.is_visible("#timeline-plot")
    page.page.locator("a.evidence").first.click()
    assert page.page.url == (made.path / "nodes/s1/console.log").as_uri()
    page.context.close()


def test_the_page_alone_is_still_read(opened, made, tmp_path):
    made.results([a_check("alone", "FAIL", "said so")], verdict="FAIL")
    alone = Path(shutil.copy(write_page(made.path), tmp_path / "elsewhere.html"))
    page = opened(alone)
    assert "alone: said so" in page.text("#verdict")
    assert not page.page.is_visible("#timeline-plot")
    assert all("ERR_FILE_NOT_FOUND" in text for text in page.wrong)
    page.wrong.clear()


def test_a_run_that_was_killed(opened, made):
    made.console("s1", b"I live\n", {1: S})
    made.event("s1", "node.started", {}, 0)
    made.event("faults", "fault", {"id": "cut-1", "kind": "cut", "stage": "injected"}, 2 * S)
    made.capture(
        "hub--s1", *((number * MS, 1, datagram(number), *([Fate.DOWN] if number > 5 else [])) for number in range(9))
    )
    with (made.path / "events.jsonl").open("a") as file:
        file.write('{"n": 4, "t"')
    page = opened(write_page(made.path))
    assert page.text("#verdict .word") == "INCOMPLETE"
    assert "wrote no results" in page.text("#verdict")
    assert "events.jsonl:5 is damaged" in page.text(".remarks")
    assert "cut-1" in page.text("#faults")
    assert "I live" in page.text("#console-lines")
    # Without the library of plots, the list stands in for the timeline.
    assert "injected" in page.text("#events table")
    assert not page.page.is_visible("#plots")


def test_floods_and_huge_lines_are_paged(opened, made):
    made.console("s1", b"x" * (10 << 20) + b"\n" + b"".join(b"line %d\n" % number for number in range(2, 20_001)))
    made.results([a_check("far", "PASS", "there", at_line("s1", 10_000))])
    page = opened(write_page(made.path))
    assert "10,485,761 bytes in all" in page.text("#console-lines .row")
    assert page.page.locator("#console-lines .row").count() <= 502
    page.page.click("#checks a.evidence")
    assert page.text("#console-lines .target").endswith("line 10000")
    assert "lines only in the file" in page.text("#console-lines")


def test_a_large_swarm_fits_the_screen(opened, made):
    ends = [DevicePlan(f"s{n}", f"52:54:00:00:00:{n:02x}", f"hub--s{n}", ip=f"10.0.0.{n}") for n in range(1, 41)]
    links = [LinkPlan(f"hub--{end.name}", "hub", end.name) for end in ends]
    network = NetworkPlan(1, (DevicePlan("hub", "52:54:00:00:01:00", "hub", ip="10.0.1.0"), *ends), tuple(links))
    (made.path / "net/plan.json").write_text(dump_plan(network))
    for end in ends:
        made.console(end.name, b"here\n")
    made.event("s7", "node.started", {}, 0)
    made.results()
    page = opened(write_page(made.path))
    picture = page.page.locator("#network .picture")
    assert picture.evaluate("box => box.scrollWidth <= box.clientWidth")
    page.picture("forty-nodes", whole=False)
    names = page.page.locator("#network .place .name")
    assert names.count() == 41
    assert min(names.evaluate_all("found => found.map(name => name.getBoundingClientRect().height)")) > 10
    assert page.text("#network") and not page.page.locator("#network .wire text").count()

"""What a scenario needs on another machine: found, named by content, made again there, and nothing outside."""

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.campaigns import bundle_content
from swarmrig.campaigns.bundle import MARK, bundle_of, scenario_text
from swarmrig.campaigns.bundle_content import (
    Content,
    checked_digest,
    checked_inventory,
    checked_place,
    content_of,
    inventory,
    next_data,
)
from swarmrig.campaigns.bundle_store import LackingError, Store
from swarmrig.errors import HostError
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario

REGISTRY = Registry.load()
MODEL = "from swarmrig.nodes.python.models.sensor import Sensor\n"


def bundled(tmp_path, text, **files):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "s.swarmrig.yml").write_text(f"swarmrig: 1\nname: s\nduration: 1s\n{text}\nchecks: [no_crashes]\n")
    return bundle_of(load_scenario(home / "s.swarmrig.yml", registry=REGISTRY), REGISTRY)


def furnished(tmp_path, bundle):
    """The bundle on another machine, where what it was made of is not."""
    store, place = Store(tmp_path / "cache"), tmp_path / "there"
    fill(store, bundle)
    shutil.rmtree(tmp_path / "home")
    place.mkdir()
    store.furnish(place, bundle.files)
    (place / "s.swarmrig.yml").write_text(scenario_text(bundle.scenario, place))
    return place, load_scenario(place / "s.swarmrig.yml", registry=REGISTRY)


def fill(store, bundle):
    for content in bundle.files.values():
        if store.lacking([content]):
            part = store.begin()
            store.write(part, 0, bundle.sources[content.digest].read_bytes())
            store.finish(part, content)


def test_everything_that_is_named_comes_along(tmp_path):
    home = tmp_path / "home"
    (home / "agent/lib").mkdir(parents=True)
    (home / "agent/main.py").write_text("import lib\n")
    (home / "agent/main.py").chmod(0o755)
    (home / "agent/lib/__init__.py").write_text("")
    (home / "agent/__pycache__").mkdir()
    (home / "agent/__pycache__/x.pyc").write_text("old")
    (home / "agent/runs/one").mkdir(parents=True)
    (home / "agent/runs/one/walltimes.jsonl").write_text("")
    (home / "fw.elf").write_bytes(firmware_path("refnode-rv32").read_bytes())
    (home / "node.py").write_text(MODEL + "import beside\n")
    (home / "beside.py").write_text("")
    (home / "unrelated.txt").write_text("no")
    bundle = bundled(
        tmp_path,
        f"""nodes:
  a: {{kind: qemu, firmware: {{image: fw.elf}}}}
  p: {{kind: python, model: "./node.py:Sensor", settings: {{to: a}}}}
  r: {{kind: process, command: [./main.py, "{home}/agent/lib"], working_dir: agent, network: none}}""",
    )
    names = sorted(place.partition("/")[2] for place in bundle.files)
    assert names == ["agent/lib/__init__.py", "agent/main.py", "fw.elf", "home/beside.py", "home/node.py"]
    assert str(home) not in bundle.scenario
    place, scenario = furnished(tmp_path, bundle)
    nodes = {node.id: node for node in scenario.nodes}
    assert nodes["a"].firmware.image.is_relative_to(place) and nodes["a"].firmware.image.name == "fw.elf"
    assert nodes["p"].options["model"].startswith(str(place))
    assert nodes["r"].options["working_dir"].is_relative_to(place)
    assert nodes["r"].options["command"][1] == str(nodes["r"].options["working_dir"] / "lib")
    assert os.access(nodes["r"].options["working_dir"] / "main.py", os.X_OK)


def test_one_scenario_is_one_bundle_wherever_it_lies(tmp_path):
    text = "nodes:\n  p: {kind: python, model: './node.py:Sensor', settings: {to: p}}"
    found = []
    for name in ("one", "other"):
        (tmp_path / name / "home").mkdir(parents=True)
        (tmp_path / name / "home/node.py").write_text(MODEL)
        found.append(bundled(tmp_path / name, text))
    assert found[0].scenario == found[1].scenario and found[0].files == found[1].files


def test_programs_of_the_machine_stay(tmp_path):
    program = tmp_path / "qemu-mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    bundle = bundled(tmp_path, f"nodes:\n  a: {{kind: qemu, machine_binary: {program}}}")
    assert not bundle.files
    assert json.loads(bundle.scenario)["nodes"]["a"]["machine_binary"] == str(program)


def test_firmware_goes_as_it_is_and_is_not_built_there(tmp_path):
    text = "nodes:\n  a: {kind: qemu, firmware: {image: fw.elf, build: make}}"
    with pytest.raises(HostError, match=r"node a: the firmware image \S+fw\.elf has not been built"):
        bundled(tmp_path, text)
    shutil.copy(firmware_path("refnode-rv32"), tmp_path / "home/fw.elf")
    assert set(json.loads(bundled(tmp_path, text).scenario)["nodes"]["a"]["firmware"]) == {"image"}


def test_of_a_former_run_only_its_results_are_needed(tmp_path):
    former = tmp_path / "home/former"
    (former / "net").mkdir(parents=True)
    (former / "net/big.pcapng").write_bytes(bytes(1000))
    (former / "results.json").write_text('{"format": 1}')
    text = "nodes:\n  p: {kind: python, model: cloud}"
    home = tmp_path / "home"
    (home / "s.swarmrig.yml").write_text(
        f"swarmrig: 1\nname: s\nduration: 1s\n{text}\nchecks: [{{compared_to: {{run: former}}}}]\n"
    )
    bundle = bundle_of(load_scenario(home / "s.swarmrig.yml", registry=REGISTRY), REGISTRY)
    assert [place.partition("/")[2] for place in bundle.files] == ["former/results.json"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.txt", "lib"])
def test_links_that_lead_astray_are_refused(tmp_path, target):
    tree = tmp_path / "tree"
    (tree / "lib").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("secret")
    (tree / "link").symlink_to(target)
    with pytest.raises(HostError, match=r"tree/link (leads out of|is a link to a directory)"):
        inventory(tree)


def test_links_inside_are_followed_and_special_files_left_out(tmp_path):
    (tmp_path / "real.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to("real.txt")
    os.mkfifo(tmp_path / "pipe")
    found = inventory(tmp_path)
    assert set(found) == {"real.txt", "link.txt"} and found["real.txt"] == found["link.txt"]
    assert set(inventory(tmp_path, whole=True)) == {"real.txt"}


def test_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_content, "MOST_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}").write_text("x")
    with pytest.raises(HostError, match="more than 2 files"):
        inventory(tmp_path)
    with pytest.raises(ValueError, match="3 files, 2 at most"):
        checked_inventory({str(number): Content("0" * 64, 1) for number in range(3)})


@pytest.mark.parametrize(
    "place", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a\nb", "x" * 2000]
)
def test_places_outside_are_refused(place, tmp_path):
    with pytest.raises(ValueError, match="no place in a directory"):
        checked_place(place)
    with pytest.raises(ValueError, match="no place in a directory"):
        checked_inventory({place: Content("0" * 64, 1)})
    with pytest.raises(ValueError, match="no place in a directory"):
        scenario_text(json.dumps({"a": [f"{MARK}{place}"]}), tmp_path)


@given(st.text())
def test_a_place_is_inside_or_refused(text):
    try:
        place = checked_place(text)
    except ValueError:
        return
    assert os.path.normpath(f"/root/dir/{place}") == f"/root/dir/{text}"


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "../" + "0" * 61, "0" * 64 + "\n", None])
def test_what_is_no_digest_is_refused(digest, tmp_path):
    with pytest.raises(ValueError, match="is no SHA-256"):
        checked_digest(digest)
    with pytest.raises(ValueError, match="is no SHA-256"):
        Store(tmp_path).path(digest)


def stored(store, tmp_path, data):
    path = tmp_path / "source"
    path.write_bytes(data)
    content = content_of(path)
    part = store.begin()
    store.write(part, 0, data)
    store.finish(part, content)
    return content


def test_the_store_is_private_and_takes_in_only_what_it_should_be(tmp_path):
    store = Store(tmp_path / "cache")
    content = stored(store, tmp_path, b"abc")
    assert not store.lacking([content])
    assert (tmp_path / "cache/content").stat().st_mode & 0o777 == 0o700
    part = store.begin()
    store.write(part, 0, b"abd")
    other = Content("1" * 64, 3)
    with pytest.raises(HostError, match="damaged on its way"):
        store.finish(part, other)
    assert store.lacking([content, other]) == (other.digest,)
    assert os.listdir(tmp_path / "cache/parts") == []
    with pytest.raises(ValueError, match="no place"):
        store.write("../content/" + content.digest, 0, b"x")


def test_the_store_drops_what_was_not_used_for_the_longest_time(tmp_path):
    store = Store(tmp_path / "cache", limit_bytes=250)
    old, used = stored(store, tmp_path, b"a" * 100), stored(store, tmp_path, b"b" * 100)
    for age, content in ((200, old), (100, used)):
        os.utime(store.path(content.digest), (1_000_000 - age,) * 2)
    assert not store.lacking([old])  # used again
    new = stored(store, tmp_path, b"c" * 100)
    assert store.lacking([old, used, new]) == (used.digest,)
    huge = stored(store, tmp_path, b"d" * 1000)
    assert store.lacking([huge, new]) == (new.digest,)  # what was sent last, stays


def test_what_is_damaged_or_gone_counts_as_lacking(tmp_path):
    store = Store(tmp_path / "cache")
    content = stored(store, tmp_path, b"abc")
    place = tmp_path / "place"
    place.mkdir()
    store.path(content.digest).chmod(0o600)
    store.path(content.digest).write_bytes(b"abX")
    with pytest.raises(LackingError) as lacking:
        store.furnish(place, {"0/file": content})
    assert lacking.value.digests == (content.digest,)
    assert os.listdir(place) == [] and store.lacking([content])


def test_programs_may_change_trees_but_not_the_store(tmp_path):
    store = Store(tmp_path / "cache")
    content = stored(store, tmp_path, b"abc")
    place = tmp_path / "place"
    place.mkdir()
    store.furnish(place, {"0/file": content, "1/tree/file": content})
    assert (place / "0/file").stat().st_mode & 0o777 == 0o400
    (place / "1/tree/file").write_text("changed")
    assert not store.lacking([content])
    assert store.path(content.digest).read_bytes() == b"abc"


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    store = Store(tmp_path / "cache")
    part = store.begin()
    with open("/dev/full", "wb"):
        pass
    (tmp_path / "cache/parts" / part).unlink()
    (tmp_path / "cache/parts" / part).symlink_to("/dev/full")
    with pytest.raises(HostError, match="No space left on device") as told:
        store.write(part, 0, b"x" * 100_000)
    assert "SWARMRIG_CACHE_DIR" in told.value.hint
    assert os.listdir(tmp_path / "cache/parts") == []


def test_files_are_read_without_their_holes(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x" * 10)
        file.truncate(8 << 20)
    begin, data = next_data(path, 0, 1 << 30)
    assert begin <= 1 << 20 < begin + len(data) < 2 << 20
    assert next_data(path, begin + len(data), 100) == (8 << 20, b"")
    assert next_data(path, 8 << 20, 100) == (8 << 20, b"")
    assert next_data(path, 1 << 20, 4) == (1 << 20, b"xxxx")

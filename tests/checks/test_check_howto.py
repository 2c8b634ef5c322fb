"""The how-to's snippets run as they stand there."""

import re
import tomllib
from pathlib import Path

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "write-a-check.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", HOWTO.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_python_snippets_run_one_after_the_other(swarm):
    namespace = {}
    for number, source in enumerate(blocks("python")):
        exec(compile(source, f"{HOWTO.name}, snippet {number}", "exec"), namespace)
    frame = swarm.csi("s1", 0, 7)
    assert namespace["describe"](frame) == ((1, 7), "10.0.1.11")
    assert namespace["FreeHeapAbove"].params_model.model_validate({"bytes": 5}).model_dump() == {"bytes": 5}


def test_the_entry_point_names_the_class():
    (text,) = blocks("toml")
    assert tomllib.loads(text)["project"]["entry-points"]["swarmrig.checks"] == {
        "free_heap_above": "my_checks.heap:FreeHeapAbove"
    }

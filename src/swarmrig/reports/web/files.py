"""The files of a page: a template in the common frame, scripts beside it, written so that the page comes last."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError, MissingExtraError
from swarmrig.reports.document import write_whole
from swarmrig.reports.plain import plain

BESIDE = "report"
"""Directory of what a page loads."""
_COMMON = "swarmrig.reports.web"
_NEEDED = ("jinja2", "plotly")


def require() -> None:
    """MissingExtraError when the libraries that make pages are not installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("a report", "report")


def write_files(directory: Path, page: str, texts: Mapping[str, Callable[[], str]], again: str) -> Path:
    """Write what a page loads, and then the page `page`, the one of `texts` that is not beside it.

    Raises HostError when something cannot be written (a full disk); its hint ends in the command `again`.
    """
    name = BESIDE
    try:
        (directory / BESIDE).mkdir(exist_ok=True)
        for name in sorted(texts, key=lambda name: name == page):
            write_whole(directory / name, texts[name]())
    except OSError as error:
        raise HostError(
            f"cannot write {directory / name}: {error.strerror or error}", hint=f"free some space, then: {again}"
        ) from error
    return directory / page


def loaded(package: str, scripts: tuple[str, ...], data: Mapping[str, Any]) -> dict[str, Callable[[], str]]:
    """What is written beside a page: the data, the library of the plots, the common script, and those of a package."""
    return {
        f"{BESIDE}/data.js": partial(as_script, data),
        f"{BESIDE}/base.js": partial(asset, _COMMON, "base.js"),
        **{f"{BESIDE}/{name}": partial(asset, package, name) for name in scripts},
        f"{BESIDE}/plotly.min.js": _plotly,
    }


def rendered(package: str, name: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """A page by the template of a package; `style` is the common one and that of the package."""
    from jinja2 import Environment, FileSystemLoader

    places = [str(files(each) / "assets") for each in (package, _COMMON)]
    # Everything is escaped, whatever the name of the template is.
    environment = Environment(loader=FileSystemLoader(places), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= filters
    style = asset(_COMMON, "base.css") + asset(package, "page.css")
    return environment.get_template(name).render(style=style, **values)


def as_script(data: Mapping[str, Any]) -> str:
    """The data as a script that sets one variable: a page that is a file may load scripts, but nothing else."""
    return f"window.RUN = {json.dumps(plain(data), separators=(',', ':'), allow_nan=False)};\n"


def command(*words: str | Path) -> str:
    """A command line of swarmrig, to be copied into a shell."""
    return " ".join(("swarmrig", *(shlex.quote(str(word)) for word in words)))


def asset(package: str, name: str) -> str:
    """A file of a package's assets."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The library's script, without importing the library."""
    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")

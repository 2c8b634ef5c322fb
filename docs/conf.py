"""The documentation as a site: `make docs` writes it to build/site. The pages are plain Markdown, good to read without.

A link to a file outside of docs/ is a download, one to a directory there is only its words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
project = "swarmrig"
author = "the swarmrig developers"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "swarmrig"
html_copy_source = False
myst_heading_anchors = 4
nitpicky = True
exclude_patterns = ["build"]
pygments_style = "default"
pygments_dark_style = "monokai"
suppress_warnings = ["myst.header"]

_LINK = re.compile(r"\[(?P<words>[^\]]*)\]\((?P<to>[^)#\s]+)(?P<part>#[^)]*)?\)")
_SECTION = re.compile(r"^## (.+)$", re.M)


def _listed(text: str, folder: Path) -> list[str]:
    """The pages that a section links to, as the table of contents wants them."""
    pages = []
    for match in _LINK.finditer(text):
        to = match["to"]
        if to == "adr/":
            pages += ["adr/index"]
        elif to == "../CHANGELOG.md":
            pages += ["changelog"]
        elif to.endswith(".md") and (folder / to).is_file():
            pages.append(to.removesuffix(".md"))
    return pages


def _contents(text: str, folder: Path) -> str:
    """The table of contents, made of the sections of the index."""
    _, *parts = _SECTION.split(text)
    trees = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        pages = "\n".join(_listed(body, folder))
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n")
    return "\n".join(trees)


def _inward(name: str, text: str) -> str:
    """Links to what the site has under another name, or not at all, become links to it, or words."""
    folder = (ROOT / "docs" / name).parent

    def changed(match: re.Match[str]) -> str:
        to, part = match["to"], match["part"] or ""
        if to.startswith(("http://", "https://", "mailto:")):
            return match[0]
        target = (folder / to).resolve()
        up = "../" * name.count("/")
        known = {ROOT / "CHANGELOG.md": "changelog.md", ROOT / "docs" / "adr": "adr/index.md"}
        if target in known:
            return f"[{match['words']}]({up}{known[target]}{part})"
        return match["words"] if target.is_dir() else match[0]

    return _LINK.sub(changed, text)


def _read(_app: Any, name: str, source: list[str]) -> None:
    text = _inward(name, source[0])
    source[0] = f"{text}\n\n{_contents(source[0], ROOT / 'docs')}" if name == "index" else text


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)

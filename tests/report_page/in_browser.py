"""Pages in a real browser, as people open them: from a file. Pictures of them are kept in build/screenshots.

A test module takes `browser`, `tab`, `opened` and `pytestmark` from here.
"""

import shutil
from pathlib import Path

import pytest

PICTURES = Path(__file__).parent.parent.parent / "build/screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 120_000
"""For a machine that does a lot else."""

EVIL = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(2)</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-zygote"]
        with playwright.chromium.launch(executable_path=CHROMIUM, args=options) as browser:
            yield browser


class Tab:
    """A tab, and everything that went wrong with the page in it. One tab for all pages: a new one costs more."""

    def __init__(self, browser, **settings) -> None:
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.plots = False
        self.wrong: list[str] = []
        self.loaded: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.loaded.append(request.url))
        self.page.route("**/plotly.min.js", self._library)

    def _library(self, route) -> None:
        """It costs a browser more than all the rest."""
        if self.plots:
            route.continue_()
        else:
            route.fulfill(body="", content_type="text/javascript")

    def open(self, path: Path, size=(1280, 900), colours="light", plots=False):
        self.plots = plots
        self.wrong.clear()
        self.loaded.clear()
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=colours)
        self.page.goto(path.as_uri())
        if plots:
            for name in self.page.evaluate("[...document.querySelectorAll('.plot')].map(box => box.id)"):
                self.page.wait_for_selector(f"#{name} .main-svg", state="attached")
        return self

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def ranges(self) -> list[list[float]]:
        """What each plot shows of the time."""
        script = (
            "[...document.querySelectorAll('.plot')].filter(p => p.layout).map(p => p.layout.xaxis.range.map(Number))"
        )
        return self.page.evaluate(script)

    def picture(self, name: str, *, whole: bool = True) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"report-{name}.png", full_page=whole)


@pytest.fixture(scope="module")
def tab(browser):
    return Tab(browser)


@pytest.fixture
def opened(tab):
    yield tab.open
    assert tab.wrong == []

"""Debian's Chromium, driven by Playwright, for tests that look at a page as a reader does."""

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
# Nothing but the page itself may ask for anything.
FLAGS = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
DEADLINE_S = 60


class Page:
    """One open page; everything it said and asked for is kept."""

    def __init__(self, page):
        self.page = page
        self._devtools = page.context.new_cdp_session(page)
        self.messages = []
        self.requests = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url[:200]))

    def _note(self, message):
        if message.type in {"error", "warning"}:
            self.messages.append(message.text)

    def call(self, method, **parameters):
        """Ask the browser for what only its developers' tools do."""
        return self._devtools.send(method, parameters)

    def evaluate(self, expression):
        # Not the page's own `eval`, which its content security policy forbids.
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression):
        end = time.monotonic() + DEADLINE_S
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never became true: {expression}"
            self.page.wait_for_timeout(50)

    def switch_to_dark(self):
        """Do what the system does at sunset."""
        self.page.emulate_media(color_scheme="dark")

    def find_faults(self):
        """Name the serious accessibility faults, as axe-core finds them."""
        if not self.evaluate("'axe' in window"):
            self.evaluate(AXE.read_text(encoding="utf-8") + "; true")
        found = self.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(result => "
            "result.violations.map(({id, impact, nodes}) => "
            "[impact, id, nodes.slice(0, 3).map(node => node.html.slice(0, 200))]))"
        )
        return [fault for fault in found if fault[0] in {"serious", "critical"}]

    def screenshot(self, path, **options):
        self.page.screenshot(path=path, **options)


class _Shared:
    """The one browser of this process: Playwright allows no second, so pages share it."""

    playwright = None
    browser = None
    n_open = 0


@contextmanager
def hold_browser():
    """Start the browser for the first who asks and stop it after the last; modules hold it."""
    from playwright.sync_api import sync_playwright

    if not _Shared.n_open:
        # A sandbox cannot be built as root.
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        _Shared.playwright = sync_playwright().start()
        _Shared.browser = _Shared.playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=not is_root
        )
    _Shared.n_open += 1
    try:
        yield _Shared.browser
    finally:
        _Shared.n_open -= 1
        if not _Shared.n_open:
            _Shared.browser.close()
            _Shared.playwright.stop()


@contextmanager
def open_page(place, *, width=1360, height=900, dark=False):
    """Open a file or an address as a new visitor, and close it in the end."""
    address = place if str(place).startswith("http") else Path(place).absolute().as_uri()
    with hold_browser() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        page = Page(context.new_page())
        page.page.goto(address)
        try:
            yield page
        finally:
            context.close()

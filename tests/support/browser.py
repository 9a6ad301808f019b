"""A headless Chromium driven over pipes, for tests that look at a page as a reader does."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
DEADLINE_S = 60


class Page:
    """One open page; everything it said and asked for is kept."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._pending = b""
        self._answers = {}
        self.session = None
        self.messages = []
        self.requests = []

    def call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while number not in self._answers:
            self._read()
        answer = self._answers.pop(number)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _read(self):
        ready, _, _ = select.select([self._from], [], [], DEADLINE_S)
        assert ready, "the browser is silent"
        self._pending += os.read(self._from, 2**20)
        *whole, self._pending = self._pending.split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message.get("method"), message.get("params", {}))

    def _note(self, event, details):
        if event == "Runtime.exceptionThrown":
            self.messages.append(details["exceptionDetails"].get("exception", details))
        elif event == "Log.entryAdded":
            self.messages.append(details["entry"])
        elif event == "Runtime.consoleAPICalled" and details["type"] in {"error", "warning"}:
            self.messages.append(details["args"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"][:200])

    def evaluate(self, expression):
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression):
        end = time.monotonic() + DEADLINE_S
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never became true: {expression}"
            time.sleep(0.05)

    def screenshot(self, path, *, clip=None, scale=1):
        options = {"format": "png", "captureBeyondViewport": True}
        if clip:
            options["clip"] = dict(zip(("x", "y", "width", "height"), clip, strict=True))
            options["clip"]["scale"] = scale
        Path(path).write_bytes(
            base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])
        )


@contextmanager
def open_page(path, *, width=1360, height=900, dark=False):
    """Open a file in a browser of its own, and close it in the end."""
    read_browser, write_own = os.pipe()
    read_own, write_browser = os.pipe()

    def place_pipes():
        os.dup2(read_browser, 1000)
        os.dup2(write_browser, 1001)
        os.dup2(1000, 3)
        os.dup2(1001, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            command,
            preexec_fn=place_pipes,  # noqa: PLW1509 - the child calls dup2 only, before exec
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_browser)
        os.close(write_browser)
        page = Page(write_own, read_own)
        try:
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)[
                "sessionId"
            ]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            page.call("Emulation.setEmulatedMedia", features=[scheme])
            page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            page.call("Page.navigate", url=Path(path).absolute().as_uri())
            page.wait_for("document.readyState === 'complete'")
            yield page
        finally:
            process.terminate()
            process.wait(10)
            os.close(write_own)
            os.close(read_own)

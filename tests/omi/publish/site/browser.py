"""Debian's Chromium for the site's tests: pages that must stay silent, and their screenshots."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Request, Response

from tests.conftest import SCREENSHOTS

CHROMIUM = shutil.which("chromium")
DESKTOP, PHONE = 1280, 390
"""Widths in CSS pixels."""

Scheme = Literal["light", "dark"]


@contextmanager
def opened(
    browser: Browser,
    address: str,
    width: int = DESKTOP,
    scheme: Scheme = "light",
    scripts: bool = True,
    before: str = "",
) -> Iterator[Page]:
    """A page in a fresh context, `before` run in it before its own script.

    It fails if the page logs a warning or an error, opens a dialogue, or asks for anything of another host.
    """
    noise: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    try:
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.set_default_timeout(20_000)
        _listen(page, urlsplit(address).netloc, noise)
        page.goto(address)
        yield page
        assert not noise, noise
    finally:
        context.close()


def _listen(page: Page, host: str, noise: list[str]) -> None:
    def dialog(asked: Dialog) -> None:
        noise.append(f"dialogue: {asked.message}")
        asked.dismiss()

    def request(asked: Request) -> None:
        if urlsplit(asked.url).netloc != host:
            noise.append(f"elsewhere: {asked.url}")

    def failed(asked: Request) -> None:
        if asked.failure != "net::ERR_ABORTED":  # by going to the next page before this one was whole
            noise.append(f"failed: {asked.url}: {asked.failure}")

    def response(answer: Response) -> None:
        if answer.status >= 400:
            noise.append(f"{answer.status}: {answer.url}")

    page.on("console", lambda message: noise.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("requestfailed", failed)
    page.on("dialog", dialog)
    page.on("request", request)
    page.on("response", response)


def serious_violations(page: Page) -> list[str]:
    """What axe finds that is serious or critical, with everything that can be unfolded open."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    # it would fetch the style sheet, which the page's policy forbids
    found: list[dict[str, Any]] = Axe().run(page, options={"preload": False}).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


def keep(page: Page, name: str) -> None:
    """A screenshot of the whole page among the test's output."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a web server of this machine: its address, without a slash at its end."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()

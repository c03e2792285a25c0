"""The site in Debian's Chromium, from a web server and from files: found, filtered, copied, read by everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from omi.publish.site import build_site
from tests.omi.publish.site.browser import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    Scheme,
    keep,
    opened,
    overflow,
    serious_violations,
    served,
)
from tests.omi.publish.site.made import everyday, many
from tests.omi.publish.site.test_site import HOSTILE, hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH: `make browser` installs it"),
]

TOFU = """\
terraform {
  required_providers {
    outscale = { source = "outscale/outscale", version = "~> 1.8" }
  }
}

resource "outscale_vm" "alpine" {
  image_id     = "ami-392d0958"
  vm_type      = "tinav6.c1r1p2"
  keypair_name = "KEYPAIR"
}"""
IMAGE = "images/alpine/alpine-3.23.4-x86_64-r0.html"
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
"""As a page has it that came by plain HTTP from another machine."""
INTERACTIVE_SECONDS = 1.0
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
"""Waits until what the page shows has been painted."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sites by name."""
    top = tmp_path_factory.mktemp("sites")
    (top / "none").mkdir()
    makers = {"everyday": everyday, "many": lambda path: many(path, 1000), "hostile": hostile}
    for name, make in makers.items():
        build_site(make(top / f"{name}-releases"), top / name)
    build_site(top / "none", top / "empty")
    return top


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def names(page: Page) -> list[str]:
    """The images that are shown."""
    return page.locator("#images > li:visible h3 a").all_inner_texts()


def clipboard(page: Page) -> str:
    """What was copied, as a page of this site can read it by pasting."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<textarea id=\"paste\" aria-label=\"paste\"></textarea>')"
    )
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    text = page.locator("#paste").input_value()
    page.evaluate("document.getElementById('paste').remove()")
    return text


def test_filters_narrow_the_list_and_stay_in_the_address(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "everyday" / "index.html").as_uri()) as page:
        everything = names(page)
        assert len(everything) == 11
        page.get_by_label("Version").select_option("3.22")
        assert names(page) == ["alpine-3.22.2-x86_64-r0", "alpine-3.22.1-x86_64-r0"]
        page.get_by_label("Region").select_option("us-east-2")
        assert names(page) == ["alpine-3.22.2-x86_64-r0"]
        assert page.locator("#images [data-region]:visible .region").all_inner_texts() == ["us-east-2"]
        expect(page.locator("#count")).to_have_text("1 of 11 images")
        page.reload()
        assert names(page) == ["alpine-3.22.2-x86_64-r0"]
        page.get_by_label("Firmware").select_option("bios")
        assert names(page) == []
        expect(page.get_by_text("No image matches these filters.")).to_be_visible()
        page.get_by_role("button", name="Show all").click()
        expect(page.locator("#count")).to_have_text("11 images, newest first")
        assert names(page) == everything
        page.get_by_label("Firmware").select_option("uefi")
        page.get_by_label("Architecture").select_option("x86_64")
        assert names(page) == ["alpine-3.23.6-x86_64-r0-uefi"]


@pytest.mark.parametrize("before", ["", NO_CLIPBOARD], ids=["clipboard", "without"])
def test_each_button_copies_its_line_and_says_so(browser: Browser, web: str, before: str) -> None:
    with opened(browser, f"{web}/everyday/index.html", before=before) as page:
        group = page.get_by_role("group", name="Copy for ami-392d0958 in eu-west-2")
        for button, line in {
            "Copy id": "ami-392d0958",
            "osc-cli": "osc-cli api CreateVms --ImageId ami-392d0958 --VmType tinav6.c1r1p2 --KeypairName KEYPAIR",
            "OpenTofu": TOFU,
            "Pulumi": "import pulumi_outscale as outscale\n\n"
            'vm = outscale.Vm("alpine", image_id="ami-392d0958", vm_type="tinav6.c1r1p2", '
            'keypair_name="KEYPAIR")',
            "SSH": "ssh -i KEYPAIR.pem alpine@ADDRESS",
        }.items():
            group.get_by_role("button", name=button).click()
            expect(page.get_by_role("status")).to_have_text(f"Copied: {line}")
            assert clipboard(page) == line


def test_pages_lead_to_each_other(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "everyday" / "index.html").as_uri()) as page:
        page.get_by_role("link", name="alpine-3.23.4-x86_64-r0", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("alpine-3.23.4-x86_64-r0")
        page.get_by_role("link", name="Older alpine-3.23.2-x86_64-r0").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("alpine-3.23.2-x86_64-r0")
        page.get_by_role("link", name="All images").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Alpine Linux OMIs")


def test_an_image_on_its_way_out_is_seen_to_be_and_leads_to_the_latest(browser: Browser, web: str) -> None:
    with opened(browser, f"{web}/everyday/images/alpine/alpine-3.22.1-x86_64-r0.html") as page:
        said = page.locator(".card").get_by_text("Deprecated (superseded)")
        expect(said).to_be_visible()
        said.get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("alpine-3.22.2-x86_64-r0")


def test_every_link_answers(browser: Browser, web: str) -> None:
    for start in ("index.html", IMAGE):
        with opened(browser, f"{web}/everyday/{start}") as page:
            links = set(page.eval_on_selector_all("a, link, script", "all => all.map(each => each.href || each.src)"))
            assert len(links) > 10
            wrong = [link for link in links if not page.context.request.get(link).ok]
            assert wrong == []


def test_the_keyboard_reaches_content_and_buttons(browser: Browser, web: str) -> None:
    with opened(browser, f"{web}/everyday/{IMAGE}") as page:
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Copy id ami-392d0958")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Copied: ami-392d0958")
        summary = page.locator("summary").first
        summary.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="Figures of each image")).to_be_visible()


@pytest.mark.parametrize("width", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everybody(browser: Browser, folder: Path, scheme: Scheme, width: int) -> None:
    size = "phone" if width == PHONE else "desktop"
    for name, path in {
        "index": "everyday/index.html",
        "image": f"everyday/{IMAGE}",
        "empty": "empty/index.html",
    }.items():
        with opened(browser, (folder / path).as_uri(), width, scheme) as page:
            assert overflow(page) == 0
            keep(page, f"{name}-{scheme}-{size}")
            assert serious_violations(page) == []
            assert overflow(page) == 0


def test_the_check_for_everybody_would_find_something(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "everyday" / "index.html").as_uri()) as page:
        page.evaluate("document.getElementById('filters').innerHTML = '<select></select>'")
        assert [found.split()[0] for found in serious_violations(page)] == ["select-name"]


@pytest.mark.parametrize("width", [320, 768])
def test_no_width_makes_a_page_scroll_sideways(browser: Browser, folder: Path, width: int) -> None:
    for path in ("everyday/index.html", f"everyday/{IMAGE}", "hostile/index.html"):
        with opened(browser, (folder / path).as_uri(), width) as page:
            assert overflow(page) == 0


def test_without_scripts_everything_can_be_read(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "everyday" / "index.html").as_uri(), scripts=False) as page:
        assert len(names(page)) == 11
        expect(page.locator("#images").get_by_text("ami-392d0958")).to_be_visible()
        expect(page.locator("#filters")).to_be_hidden()
        expect(page.get_by_role("button")).to_have_count(0)
        keep(page, "index-without-scripts")
    with opened(browser, (folder / "everyday" / IMAGE).as_uri(), scripts=False) as page:
        expect(page.get_by_text("osc-cli api CreateVms --ImageId ami-392d0958")).to_be_visible()
        expect(page.get_by_role("link", name="SBOM (CycloneDX)").first).to_be_visible()
        page.locator("summary", has_text="18 packages").click()
        expect(page.get_by_role("rowheader", name="musl")).to_be_visible()


def test_an_empty_list_says_so(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "empty" / "index.html").as_uri()) as page:
        expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()


def shown(page: Page) -> int:
    """How many images of a long list are shown; a locator would have the browser lay all of them out first."""
    number: int = page.evaluate("document.querySelectorAll('#images > li:not([hidden])').length")
    return number


def test_a_thousand_images_are_there_and_filtered_within_a_second(browser: Browser, folder: Path) -> None:
    """Counted in processor time of the page's own thread, which is the wait on a machine that has nothing else to do;
    the clock would measure what else this machine does.
    """
    with opened(browser, "about:blank") as page:
        clock = page.context.new_cdp_session(page)
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto((folder / "many" / "index.html").as_uri())
        page.evaluate(PAINTED)
        assert shown(page) == 100
        page.evaluate(
            """() => {
                const version = document.querySelector("[name=version]");
                version.value = "3.20";
                version.dispatchEvent(new Event("change", {bubbles: true}));
            }"""
        )
        page.evaluate(PAINTED)
        measured = {each["name"]: each["value"] for each in clock.send("Performance.getMetrics")["metrics"]}
        assert page.locator("#count").text_content() == "167 of 1000 images"
    print(f"1,000 images: {measured['TaskDuration']:.2f} s of processor until they were there and filtered")
    assert 0 < measured["TaskDuration"] < INTERACTIVE_SECONDS


def test_a_long_list_is_shown_in_two_steps(browser: Browser, folder: Path) -> None:
    with opened(browser, (folder / "many" / "index.html").as_uri() + "#version=3.20") as page:
        assert shown(page) == 100
        page.locator("#more").click()
        assert shown(page) == 167
        assert page.evaluate("[...document.querySelectorAll('#images a')].indexOf(document.activeElement)") > 100
        expect(page.locator("#more")).to_be_hidden()


def test_hostile_strings_stay_text(browser: Browser, web: str, folder: Path) -> None:
    pages = json.dumps([path.name for path in (folder / "hostile" / "images" / "alpine").iterdir()])
    with opened(browser, f"{web}/hostile/index.html") as page:
        expect(page.locator("#images")).to_contain_text(HOSTILE)
        page.locator("#images").get_by_role("button", name="Copy id").first.click()
        assert clipboard(page) == HOSTILE
        page.get_by_label("Version").select_option(HOSTILE)
        assert len(names(page)) == 1
        assert overflow(page) == 0
        for name in json.loads(pages):
            page.goto(f"{web}/hostile/images/alpine/{name}")
            assert page.locator("script").count() == 1
            assert overflow(page) == 0
        assert serious_violations(page) == []
        keep(page, "hostile-light-desktop")

"""A headless Chromium for tests of pages, and the questions that are put to every page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1440,1000",
)  # fmt: skip

# What each script returns is a list of complaints, empty for a good page.
UNNAMED = """
const named = (it) => it.getAttribute("aria-label") || it.labels && it.labels.length || it.textContent.trim();
return [...document.querySelectorAll("button, summary, select, input, [role=region], [role=img]")].filter((it) => !named(it))
  .map((it) => it.outerHTML.slice(0, 120));
"""
STRUCTURE = """
const bad = [], all = (query) => [...document.querySelectorAll(query)];
if (!document.documentElement.lang) bad.push("no lang");
if (!document.title) bad.push("no title");
if (all("h1").length !== 1) bad.push("not one h1");
if (all("main").length !== 1) bad.push("not one main");
let level = 0;
for (const it of all("h1, h2, h3, h4")) {
  if (Number(it.tagName[1]) > level + 1) bad.push("heading skips a level: " + it.textContent);
  level = Number(it.tagName[1]);
}
const ids = all("[id]").map((it) => it.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push("id twice: " + id);
for (const name of ["for", "aria-labelledby"]) {
  for (const it of all(`[${name}]`)) for (const id of it.getAttribute(name).split(" ")) if (!ids.includes(id)) bad.push("no such id: " + id);
}
for (const it of all("table")) if (!it.caption || !it.caption.textContent) bad.push("table without caption");
for (const it of all("th")) if (!it.scope) bad.push("th without scope: " + it.textContent);
for (const it of all("svg")) if (it.getAttribute("role") !== "img" && !it.ariaHidden) bad.push("picture without role: " + it.outerHTML);
for (const it of all("[tabindex]")) if (it.tabIndex > 0) bad.push("positive tabindex: " + it.outerHTML);
return bad;
"""
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), seen = new Map();
const rgba = (colour) => {
  if (!seen.has(colour)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    seen.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
  }
  return seen.get(colour);
};
const light = (colour) => rgba(colour).slice(0, 3).map((part) => part / 255)
  .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (it) => {
  if (it.classList.contains("tag-text")) return getComputedStyle(it.previousElementSibling).fill;
  for (let at = it; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (rgba(colour)[3] === 255) return colour;
    if (rgba(colour)[3]) return "transparent";  // half transparent: nothing here should be
  }
  return "white";
};
const bad = [], judge = (it, colour, text) => {
  const [one, other] = [light(colour), light(behind(it))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${colour} on ${behind(it)}: ${text.slice(0, 60)}`);
  count += 1;
};
let count = 0;
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const it = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || it.closest("script, option") || !it.checkVisibility()) continue;
  judge(it, it instanceof SVGElement ? getComputedStyle(it).fill : getComputedStyle(it).color, texts.currentNode.data);
}
for (const it of document.querySelectorAll("[placeholder]")) judge(it, getComputedStyle(it, "::placeholder").color, it.placeholder);
return [count, bad];
"""


@contextmanager
def open_browser(profile: Path) -> Iterator[Any]:
    """A browser of its own profile, which logs what it prints and what it asks for."""
    reason = "pages are tested in Chromium: install chromium, chromedriver and selenium"
    webdriver = pytest.importorskip("selenium.webdriver", reason=reason)
    service = pytest.importorskip("selenium.webdriver.chrome.service", reason=reason)
    if not CHROMIUM or not DRIVER:
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "localhost,127.0.0.1")  # the driver listens on this machine
        driver = webdriver.Chrome(options=options, service=service.Service(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def emulate(driver: Any, *, media: str = "", scheme: str = "light") -> None:
    """Show the page as paper or on a dark screen would."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def resize(driver: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def requests(driver: Any) -> list[str]:
    """The addresses asked for since the last call, in the order of their requests."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

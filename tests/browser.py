"""A page in headless Chromium, driven by a script at its end; its DOM comes back."""

from __future__ import annotations

import html
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
needed = pytest.mark.skipif(FOUND is None, reason=f"expected a browser, {' or '.join(NAMES)}, on the path, found none")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--password-store=basic",
)  # fmt: skip
LIMIT, TRIES = 40, 4  # seconds for a page, and times that it is tried
# What an export would download goes to an element instead.
CAUGHT = """
const Real = Blob;
window.Blob = function (parts, options) {
  const caught = Object.assign(document.createElement("pre"), {id: "exported"});
  caught.textContent = JSON.stringify([parts.join(""), options.type]);
  document.body.append(caught);
  return new Real(parts, options);
};
const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
"""


def dom(page: Path, script: str, profile: Path, *options: str) -> str:
    """The page's elements after it was loaded and ``script`` ran at its end; ``profile`` keeps what it stores.

    The page is changed in its place, since what a browser stores belongs to the address.
    """
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"<script>{CAUGHT}{script}</script></body>"), encoding="utf-8")
    try:
        return _dumped([FOUND, *OPTIONS, f"--user-data-dir={profile}", *options, "--dump-dom", page.as_uri()], profile)
    finally:
        page.write_text(text, encoding="utf-8")


def _dumped(command: Sequence[str], profile: Path) -> str:
    """What the browser prints; on a busy machine it may hang before it loads anything, and is started again."""
    for _ in range(TRIES):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
        try:
            found, said = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            for path in profile.glob("Singleton*"):  # the lock of the one that was killed
                path.unlink()
            continue
        assert process.returncode == 0, said
        return found
    raise AssertionError(f"expected an answer of {FOUND} within {LIMIT} s, got none in {TRIES} tries")


def framed(page: Path, script: str, profile: Path, width: int) -> str:
    """The same in a frame of a width that no window of its own would have; the frame's element ``told`` comes back."""
    text = page.read_text(encoding="utf-8").replace("</body>", f"<script>{CAUGHT}{script}</script></body>")
    frame = f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{html.escape(text)}"></iframe>'
    outer = page.with_name("frame.html")
    outer.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body>{frame}<p id="told"></p>', encoding="utf-8")
    return element(dom(outer, "", profile), "told")


def element(found: str, name: str) -> str:
    """The content of an element of a DOM, by its id."""
    return html.unescape(re.search(rf'<(\w+)\b[^>]*\bid="{name}"[^>]*>(.*?)</\1>', found, re.S)[2])

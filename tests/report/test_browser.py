"""The page as a reader sees it: in headless Chromium, on a desk and in a hand, light and dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.written_sweeps import write_search

from fcsweep import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

HARNESS = Path(__file__).with_name("harness.html")
"""Shows the page at a width, sorts its table, and writes what it sees as JSON."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = write_search(tmp_path_factory.mktemp("rendered") / "search", 60)
    report.write(folder)
    return folder


def rendered(folder, width: int, dark: bool, profile) -> tuple[dict[str, Any], str]:
    """What the page measures at a width, and what its console said."""
    harness = folder / f"harness_{width}.html"
    harness.write_text(HARNESS.read_text().replace("WIDTH", str(width)))
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--hide-scrollbars",
    ]
    flags += ["--allow-file-access-from-files", f"--user-data-dir={profile}"]
    flags += ["--virtual-time-budget=5000", "--window-size=1400,3200"]
    flags += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command = [str(CHROMIUM), *flags, "--dump-dom", harness.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr[-2000:]
    said = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(html.unescape(found[1])), said


def brightness(colour: str) -> float:
    """Of a computed style such as ``rgb(13, 17, 23)``."""
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3 / 255


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_search(sweep, tmp_path, width, dark):
    seen, console = rendered(sweep, width, dark, tmp_path)
    assert console == ""
    assert seen["width"] == width and seen["wide"] <= 0
    assert seen["texts"] > 50 and seen["cut"] == [] and seen["over"] == []
    brightness = [sum(map(float, re.findall(r"[\d.]+", seen[key])[:3])) for key in ("paper", "ink")]
    assert (
        (brightness[0] < 150 < 600 < brightness[1])
        if dark
        else (brightness[1] < 150 < 700 < brightness[0])
    )
    assert seen["before"] == [str(number) for number in range(60)]
    there = [[float(cell) for cell in seen["sorted"][way] if cell] for way in ("up", "down")]
    assert len(there[0]) == 50 and there[0] == sorted(there[0]) and there[1] == there[0][::-1]
    assert seen["sorted"]["up"][-10:] == seen["sorted"]["down"][-10:] == [""] * 10
    assert seen["sort"] == "descending"

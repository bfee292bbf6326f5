"""Make the pictures of the README: ``python docs/make_pictures.py`` (needs chromium)."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console

from fcsweep import report
from fcsweep.records import sweep_table
from fcsweep.terminal import sweep_view

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
GRID = ["optimizer=sgd,momentum,adam", "seed=0,1", "hydra.sweep.dir=multirun/rules"]


def main() -> None:
    """The table of a grid as the terminal shows it, and the page of a search."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run([sys.executable, "-m", "fcsweep", "-m", *GRID], check=True)
        terminal(Path("multirun/rules"))
        shutil.copytree(DOCS.parent / "analysis/sample/overfit_five_layer", "overfit_five_layer")
        page(Path("overfit_five_layer"))


def terminal(sweep: Path) -> None:
    """The last lines of a grid on a terminal, as rich draws them."""
    rows = sweep_table.load(sweep)
    console = Console(record=True, width=100, force_terminal=True, file=io.StringIO())
    console.print("$ python -m fcsweep -m optimizer=sgd,momentum,adam seed=0,1", highlight=False)
    console.print(sweep_view.table(rows, console.width))
    console.print(*sweep_view.below(rows), sep="\n", highlight=False)
    console.print(f"report: {sweep / report.FILE}", highlight=False)
    picture = console.export_svg(title="fcsweep", unique_id="terminal")
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # nothing is fetched
    (PICTURES / "terminal.svg").write_text(picture)


def page(sweep: Path) -> None:
    """The page of a sweep, as Chromium shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser, "needs chromium"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    size = ["--window-size=1100,1000", f"--screenshot={PICTURES / 'report.png'}"]
    subprocess.run([browser, *flags, *size, report.write(sweep).absolute().as_uri()], check=True)
    with Image.open(PICTURES / "report.png") as picture:
        small = picture.convert("RGB").quantize(
            256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    small.save(PICTURES / "report.png", optimize=True)


if __name__ == "__main__":
    main()

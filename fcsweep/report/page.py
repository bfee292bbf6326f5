"""From records to ``report.html``."""

from __future__ import annotations

import base64
import hashlib
import html
import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from fcsweep.analysis import findings
from fcsweep.composition.folders import longer
from fcsweep.config import ConfigError
from fcsweep.messages.wording import printable
from fcsweep.records.reader import Reading
from fcsweep.report import comparison, contents, ensembles, words
from fcsweep.report.contents import Run, Sweep
from fcsweep.report.embedded import as_script, embedded
from fcsweep.report.figures import figures
from fcsweep.report.tables import (
    Table,
    best_rows,
    cell,
    failures,
    provenance,
    tables,
    trial,
    workers,
)
from fcsweep.system.atomic import write_atomically

FILE, COMPARISON = "report.html", "comparison.html"
SCRIPTS = (
    *("data", "filter", "state", "paint", "svg", "ticks", "pointer", "plot"),
    *("columns", "curves", "charts", "time_line", "parallel", "table", "start"),
)
"""Of ``scripts/``, in this order one program."""
MOST_ALIGNED = 40
"""Columns of a table whose numbers are aligned to the right."""


def write(
    folder: str | Path,
    kinds: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    readings: Sequence[Reading] | None = None,
) -> Path:
    """Write the page of a run or a sweep; returns its path.

    Args:
        folder: of the run or sweep; it may still be running.
        kinds: ``png``, ``svg``: also write each figure so into ``figures/``.
        out: the file; ``report.html`` in the folder if absent.
        readings: of the runs of the sweep, if they are known already.

    Raises:
        FolderError: The folder holds no run.
        StudyError: The study of another app is damaged.
        RecordError: The page cannot be written.
    """
    sweep = contents.read(Path(folder), readings)
    path = sweep.folder / FILE if out is None else Path(out)
    write_atomically(path, rendered({**content(sweep), **ensembles.texts(sweep)}).encode())
    if kinds:
        from fcsweep.report import plots  # imports pandas and matplotlib

        plots.save(sweep, kinds)
    return path


def compare(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write a page that compares sweeps, or single runs; returns its path.

    Args:
        folders: of the sweeps, at least two.
        out: the file; ``comparison.html`` in the current folder if absent.

    Raises:
        FolderError: They cannot be compared; one line that says why.
        StudyError, RecordError: as `write`.
    """
    path = Path(COMPARISON if out is None else out)
    compared = comparison.read([Path(folder) for folder in folders], path)
    texts = {**content(compared), "what": "Comparison of", **comparison.texts(compared)}
    write_atomically(path, rendered(texts).encode())
    return path


def rendered(content: Mapping[str, Any]) -> str:
    """The page as HTML: the template, filled."""
    script, style = _script(), _style()
    return _template().render(
        **content,
        style=style,
        script=script,
        style_sha256=_digest(style),
        script_sha256=_digest(script),
    )


def content(sweep: Sweep) -> dict[str, Any]:
    """The template's variables, except style and scripts."""
    shown = figures(sweep)
    return {
        "what": "Run" if sweep.single else "Sweep",
        "title": sweep.title,
        "single": sweep.single,
        "unfinished": sweep.unfinished,
        **(_texts(sweep) if sweep.study is None else _study_texts(sweep)),
        "figures": shown,
        "summaries": [],
        "notes": [],
        "tables": [_html(table, sweep) for table in tables(sweep)],
        "workers": workers(sweep),
        "about_workers": words.workers(sweep.time_line),
        "failures": failures(sweep),
        "data": as_script(embedded(sweep)) if shown or not sweep.single else None,
    }


def _texts(sweep: Sweep) -> dict[str, Any]:
    best = next(iter(sweep.tops), None)
    run = _best_run(sweep.runs, best)
    what = "run" if sweep.single else "best run"
    config = findings.config_of(run, findings.config_keys(sweep.runs)) if run else []
    details = [
        (f"Config of the {what}", config),
        ("Provenance: where the numbers come from", [*provenance(sweep.runs)]),
    ]
    return {
        "question": words.question(sweep.points, sweep.searched),
        "answer": words.answer(sweep.points, best, sweep.searched),
        "warning": words.warning(sweep.runs),
        "trust": words.trust(sweep.runs, sweep.points, best, sweep.searched),
        "commands": commands(run, sweep.single) if run else [],
        "details": [(title, pairs) for title, pairs in details if pairs],
    }


def _best_run(runs: Sequence[Run], best: Run | None) -> Run | None:
    """The best run of the best point, itself if it is a run."""
    folder = best and best.get("best_run", best["folder"])
    return next((run for run in runs if run["folder"] == folder), None)


def commands(run: Run, single: bool) -> list[tuple[str, str]]:
    """What can be done with a run: repeat it, test it, train its config for longer."""
    the = "it" if single else "the best run"
    folder = shlex.quote(str(run["folder"]))
    of_rule = "--trust " * (run.get("optimizer.name") == "custom")  # imports what it names
    own = run.get("model.name") == "torch" or run.get("data.name") == "custom"
    of_net = "--trust " * own
    offered = [
        (f"Repeat {the} and compare", f"python -m fcsweep.rerun {of_net or of_rule}{folder}"),
        (f"Test {the}", f"python -m fcsweep.evaluate {of_net}{folder}"),
    ]
    try:
        command = longer(Path(run["folder"]))
    except ConfigError:
        return offered
    return [*offered, (f"Train the config of {the} for twice as long", command)]


def _study_texts(sweep: Sweep) -> dict[str, Any]:
    """What is said of another app's search, whose best trial the answer names in full."""
    assert sweep.study is not None
    return {
        "question": words.study_question(sweep.study),
        "answer": words.study_answer(sweep.study, sweep.tops),
        "warning": None,
        "trust": words.study_trust(sweep.study),
        "commands": [],
        "details": [],
    }


def _html(table: Table, sweep: Sweep) -> dict[str, str]:
    """A table whose rows name their places among the runs or points."""
    first = "points" if table.id == "points" else "trial"
    names = [first, "status", *(column.name for column in table.columns)]
    heads = "".join(f'<th scope="col">{_text(name)}' for name in names)
    numbers = [n for n, one in enumerate(table.columns, 3) if one.kind != "choice"]
    best = best_rows(sweep, sweep.points if table.id == "points" else sweep.runs)
    rows = [
        _row(row, place, table, sweep, place in best)
        for row, place in zip(table.rows, table.places, strict=True)
    ]
    body = "\n".join(rows)
    return {
        "id": table.id,
        "title": table.title,
        "numbers": " ".join(f"n{n}" for n in numbers if n <= MOST_ALIGNED),
        "html": f"<thead><tr>{heads}</thead>\n<tbody>\n{body}\n</tbody>",
    }


def _row(row: Run, place: int, table: Table, sweep: Sweep, best: bool) -> str:
    kind = "best" if best else "damaged" * (row["status"] == "damaged")
    cells = [trial(row, sweep.folder), row["status"], *(cell(row, one) for one in table.columns)]
    mark = f" class={kind}" if kind else ""
    return f"<tr data-place={place}{mark}><td>" + "<td>".join(map(_text, cells))


def _text(value: object) -> str:
    return html.escape(printable(value))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _plain(value: Any) -> Any:
    """Text from a record in printable characters; our own markup unchanged."""
    return printable(value) if type(value) is str else value


@lru_cache(maxsize=1)
def _style() -> str:
    aligned = ", ".join(f".n{n} tr > :nth-child({n})" for n in range(1, MOST_ALIGNED + 1))
    ours = _file("page.css")
    return f"{_file('uplot/uPlot.min.css')}\n{ours}{aligned} {{ text-align: right; }}\n"


@lru_cache(maxsize=1)
def _script() -> str:
    """UPlot under its license, and our scripts, as one program."""
    program = _file("uplot/uPlot.iife.min.js").partition("\n")[2]
    ours = "\n".join(_file(f"scripts/{name}.js") for name in SCRIPTS)
    license_ = _file("uplot/LICENSE")
    return f'/* uPlot 1.6.32\n{license_}*/\n{program}(() => {{\n"use strict";\n{ours}}})();\n'


def _file(name: str) -> str:
    return (files("fcsweep.report") / name).read_text(encoding="utf-8")

"""``python -m fcsweep.rerun RUN_DIR``: train again as recorded, and compare bit for bit.

Takes folders of runs and of sweeps. It reads the saved configs as data and checks everything before
it imports torch; it imports, builds and executes nothing from a folder. Code of the user's own that
a config names by import path is imported with ``--trust`` only. Prints ``identical``, or the first
difference and its likely cause; where the processor is another one and the numbers agree to 1e-6,
that.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fcsweep.messages.errors import FolderError, UserError
from fcsweep.messages.wording import one_line, printable
from fcsweep.records.events import Report
from fcsweep.records.evidence import Evidence, read_evidence
from fcsweep.records.filenames import CONFIG, PROVENANCE, jobs_of
from fcsweep.records.reader import are_ours, read_json
from fcsweep.rerun.comparison import Comparison, Verdict, altered_file, compare
from fcsweep.system.signals import end_if_asked, held_back

Progress = Callable[[int], None]
"""Called with the number of each finished epoch."""


def rerun(folders: Sequence[Path], out: Path | None = None, trust: bool = False) -> bool:
    """Repeat every run in some folders, and print how each compares.

    Args:
        folders: of runs, or of sweeps with a numbered folder for each run.
        out: a new or empty folder in which to keep the new runs; None deletes them.
        trust: whether to import what the configs name by import path.

    Returns:
        Whether every run repeated bit for bit.

    Raises:
        FolderError: ``out`` is in use, or a sweep holds no run.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderError(f"--out: {out} exists already; name a new or an empty folder")
    run_dirs = _run_dirs(folders)
    runs = [run for run in (_check(folder, trust) for folder in run_dirs) if run is not None]
    repeated = 0
    with tempfile.TemporaryDirectory(prefix="fcsweep-rerun-") as scratch, epoch_bar() as shown:
        for number, run in enumerate(runs):
            again = Path(scratch) / str(number)
            repeated += _repeat_and_report(run, again, shown(run, f"{number + 1}/{len(runs)}"))
            if out is None:
                shutil.rmtree(again, ignore_errors=True)
        if out is not None:
            _keep([run.folder for run in runs], Path(scratch), out)
    if len(run_dirs) > 1:
        print(f"{repeated} of {len(run_dirs)} runs repeated bit for bit")
    return repeated == len(run_dirs)


def _run_dirs(folders: Sequence[Path]) -> list[Path]:
    """The folders of runs; a sweep of ours is replaced by those in it, by number."""
    found: list[Path] = []
    for folder in folders:
        jobs = _jobs(folder)
        found += [folder] if are_ours(jobs) is False else jobs
    return list(dict.fromkeys(found))


def _jobs(folder: Path) -> list[Path]:
    """The folders of the jobs of a sweep; the folder itself if it is not a sweep."""
    return jobs_of(folder) or [folder]


def _check(folder: Path, trust: bool) -> Evidence | None:
    """The evidence of a run, or None after one line that says why it cannot be repeated."""
    try:
        if folder.name.isdecimal() and folder.is_symlink():
            raise FolderError(f"{folder} is a link; name the folder that it leads to")
        if are_ours(_jobs(folder)) is False:
            raise FolderError(
                f"{folder} holds runs of another program; fcsweep.rerun repeats runs of fcsweep"
            )
        return read_evidence(folder, trust)
    except UserError as error:
        _refuse(error)
        return None


def _repeat_and_report(run: Evidence, again: Path, progress: Progress) -> bool:
    """Train again in the folder ``again``, compare and print; returns whether all bits agree."""
    try:
        outcome = repeat(run, again, progress)
    except UserError as error:
        _refuse(error)
        return False
    print(printable(outcome.line(run)), flush=True)
    return outcome.verdict is Verdict.IDENTICAL


def repeat(
    run: Evidence,
    again: Path,
    progress: Progress,
    device: str | None = None,
) -> Comparison:
    """Train a recorded run again in the folder ``again``, and compare.

    A run is not trained again if a file has changed that training could not vouch for.

    Args:
        run: as recorded; `read_evidence` has refused what would import code.
        again: a folder that is not there yet.
        progress: called with each epoch.
        device: instead of the recorded one.

    Raises:
        UserError: it cannot be trained here; one line.
    """
    if difference := altered_file(run):
        return Comparison(Verdict.CHANGED, difference, "the file changed after the run had ended")
    try:
        now = _train(run, again, progress, device)
    except Exception as error:
        end_if_asked()  # what a signal raised may have become another error
        kind = type(error) if isinstance(error, UserError) else UserError
        raise kind(f"{run.folder} cannot be repeated: {one_line(error)}") from error
    return compare(run, again, now)


def _train(run: Evidence, again: Path, progress: Progress, device: str | None) -> dict[str, Any]:
    """Train as recorded, for as many epochs; returns the provenance of the new numbers."""
    with held_back():  # of torch, not before everything is checked
        from fcsweep.kernels.threads import with_threads
        from fcsweep.run.stack import train
        from fcsweep.run.trial import Trial

    (again / CONFIG).parent.mkdir(parents=True)
    (again / CONFIG).write_bytes(run.config_text)
    solver = replace(run.config.solver, checkpoint_seconds=None)
    config = replace(run.config, device=device or run.provenance["device"], solver=solver)
    trial = Trial(0, config, again)

    def stop(reports: Sequence[Report]) -> Sequence[int]:
        epoch = reports[0].row.epoch
        progress(epoch)
        return [0] if epoch >= run.epochs else []

    with with_threads(run.provenance["threads"]):
        train([trial], stop)
    trial.end(run.result["status"], run.result.get("reason"))
    return read_json(again / PROVENANCE)


def _keep(folders: Sequence[Path], scratch: Path, out: Path) -> None:
    """Move the new runs to ``out``: a single run itself, several with their relative paths."""
    top = Path(os.path.commonpath([folder.absolute() for folder in folders]))
    for number, folder in enumerate(folders):
        if (scratch / str(number)).exists():
            target = out / folder.absolute().relative_to(top)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                target.rmdir()  # an empty one that the user has made
            shutil.move(scratch / str(number), target)


def _refuse(error: object) -> None:
    print(printable(f"error: {error}"), file=sys.stderr, flush=True)


@contextmanager
def epoch_bar() -> Iterator[Callable[[Evidence, str], Progress]]:
    """The progress of the rerun on a terminal: a bar of epochs for the run that trains."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("")

        def begin(run: Evidence, place: str) -> Callable[[int], None]:
            what = escape(f"{place} {printable(run.folder)}: epochs")
            bar.reset(task, total=run.epochs, description=what)
            return lambda epoch: bar.update(task, completed=epoch)

        yield begin

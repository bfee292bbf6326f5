"""Further rows of a table, as inputs of the nets that were trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcsweep.config import CustomDataConfig
from fcsweep.config.allowed import Measured
from fcsweep.data.choice import data_of
from fcsweep.messages.errors import DataError, FolderError, UserError
from fcsweep.messages.wording import one_line
from fcsweep.records.filenames import PREPROCESSING, PROVENANCE
from fcsweep.records.reader import read_json
from fcsweep.trained.predictions import Examples
from fcsweep.trained.runs import Trained

if TYPE_CHECKING:
    import pandas as pd


def preprocessing_of(run: Trained) -> Mapping[str, Any]:
    """What makes inputs of rows, from the record; else from the table, if it is as it was.

    Args:
        run: on a table.

    Raises:
        FolderError: the run was trained on something else, or its table is gone or has changed.
    """
    if isinstance(run.config.data, CustomDataConfig):
        raise FolderError(
            f"{run.folder} was trained on what data.load={run.config.data.load} returns; "
            "fcsweep.predict takes runs on tables"
        )
    if not isinstance(run.config.data, Measured):
        raise FolderError(
            f"{run.folder} was trained on the images of {run.config.data.name}; fcsweep.predict "
            "takes runs on tables, python -m fcsweep.export writes any net as plain torch"
        )
    path = run.folder / PREPROCESSING
    if path.exists():
        try:
            return read_json(path)
        except (OSError, ValueError) as error:
            raise FolderError(f"{path} cannot be read: {one_line(error)}") from error
    lacking = f"{run.folder} has no {PREPROCESSING} (its version wrote none, or it has over 1 MB)"
    try:
        data = data_of(run.config)
        recorded = read_json(run.folder / PROVENANCE).get("data_sha256")
    except (UserError, OSError, ValueError) as error:
        raise FolderError(f"{lacking}, and its table: {one_line(error)}") from error
    if data.fingerprint != recorded or data.preprocessing is None:
        raise FolderError(f"{lacking}, and its table has changed: train it again")
    return data.preprocessing


class Rows:
    """The rows of a file.

    Args:
        path: of the file.
        facts: as ``preprocessing.json`` has them.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        from fcsweep.data.tables import files, preprocessing  # imports pandas

        self._path, self._facts = path, facts
        asked = files.Asked(None, facts["decimal"], preprocessing.texts_of(facts))
        self.frame: pd.DataFrame = files.read("", str(path), asked)
        self._made: dict[str, Examples] = {}

    def inputs(self, run: Trained) -> Examples:
        """As a run takes them, by the preprocessing of its own fold.

        Raises:
            DataError: a column is missing, or holds what cannot be an input.
            FolderError: as `preprocessing_of`.
        """
        key = repr((run.config.data, run.config.dtype))
        if key not in self._made:
            facts = preprocessing_of(run)
            X = torch.from_numpy(self._inputs(facts, run.config.dtype))
            is_quantity = "classes" not in facts
            units = (facts["target_mean"], facts["target_scale"]) if is_quantity else ()
            self._made[key] = Examples(X, *units)
        return self._made[key]

    def _inputs(self, facts: Mapping[str, Any], dtype: str) -> NDArray[Any]:
        from fcsweep.data.tables import preprocessing

        try:
            return preprocessing.inputs(self.frame, facts, np.dtype(dtype))
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from error

    def others(self) -> pd.DataFrame:
        """The columns that are no input, such as a row's number."""
        used = {one["name"] for one in self._facts["columns"]}
        return self.frame.drop(columns=[name for name in self.frame if str(name) in used])

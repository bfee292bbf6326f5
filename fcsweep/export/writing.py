"""From a run to the files of its net; the scores of each form are compared before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from fcsweep.config import CustomDataConfig, ImagesConfig, RunConfig, TorchConfig
from fcsweep.config.allowed import Measured
from fcsweep.config.import_paths import import_paths
from fcsweep.data.choice import data_of
from fcsweep.data.images.loading import normalization, projection
from fcsweep.export import onnx_graph, plain_torch
from fcsweep.messages.errors import DataError, FolderError
from fcsweep.records.filenames import BEST, PREPROCESSING
from fcsweep.records.seal import as_json
from fcsweep.system.atomic import write_atomically
from fcsweep.trained.predictions import stack
from fcsweep.trained.rows import preprocessing_of
from fcsweep.trained.runs import Trained

MODEL, PARAMETERS, ONNX = "model.py", "model.safetensors", "model.onnx"
ROWS = 100
"""Compared, at most."""
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
"""Largest difference, relative to the largest score, but to 1 below 1."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: list[Path]
    compared: str
    """On which rows the scores were compared, and how far they are apart at most."""


def export(run: Trained, out: Path, onnx: bool = False) -> Exported:
    """Write the net of a run into a folder.

    Args:
        run: with its best parameters.
        out: the folder, which is made.
        onnx: whether to write ``model.onnx``, too.

    Raises:
        FolderError: the parameters do not fit the config, or a form has other scores.
        DataError: the data of a net for images are missing, whose mean colour, and principal
            components, belong to it.
        RecordError: a file cannot be written.
    """
    if isinstance(run.config.model, TorchConfig):
        raise FolderError(
            f"{run.folder} holds a module of your own, which is plain torch already: {BEST} is its "
            "state dict (module.load_state_dict(safetensors.torch.load_file(...)))"
        )
    X, what = _rows(run.config)
    expected = stack([run], torch.device("cpu")).scores(X.unsqueeze(0))[0]
    run = _on_pixels(run)
    X, _ = _rows(run.config)
    net, state = plain_torch.build(run.config), plain_torch.state_dict(run.config, run.params)
    net.load_state_dict(state)
    with torch.inference_mode():
        found = {MODEL: net.eval()(X)}
    contents = {
        MODEL: plain_torch.source(run.config).encode(),
        PARAMETERS: save(state),
        PREPROCESSING: as_json(_preprocessing(run)),
    }
    if onnx:
        arrays = {name: p.numpy() for name, p in run.params.items()}
        model = onnx_graph.graph(run.config, arrays)
        found[ONNX] = torch.from_numpy(onnx_graph.scores(model, X.numpy()))
        contents[ONNX] = model.SerializeToString()
    apart = max(_apart(run, name, scores, expected) for name, scores in found.items())
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)
    compared = f"scores of {len(X)} {what}: largest difference {apart:.1e}"
    return Exported([out / name for name in contents], compared)


def _on_pixels(run: Trained) -> Trained:
    """A net on principal components as one on centred pixels: its first layer projects, too."""
    data = run.config.data
    if not isinstance(data, ImagesConfig) or data.on_pixels:
        return run
    root = getattr(data, "root", None)
    part = {"root": root, "val_rows": data.val_rows}
    W, b = projection(data.name, data.components, data.whiten, **part)
    W1, b1 = (run.params[name].double() for name in ("W1", "b1"))
    first = {"W1": W @ W1, "b1": b @ W1 + b1}
    params = {name: first.get(name, p).to(p.dtype) for name, p in run.params.items()}
    config = replace(run.config, data=replace(data, components=None, whiten=None))
    return replace(run, config=config, params=params)


def _rows(config: RunConfig) -> tuple[Tensor, str]:
    """Rows to compare on, and what they are."""
    try:
        return data_of(config).X_val[:ROWS], "validation rows"
    except DataError:
        draw = torch.Generator().manual_seed(0)
        shape, dtype = (ROWS, config.data.inputs), getattr(torch, config.dtype)
        return torch.randn(shape, generator=draw, dtype=dtype), "random rows"


def _apart(run: Trained, name: str, scores: Tensor, expected: Tensor) -> float:
    scale = max(1.0, expected.abs().max().item())
    apart = (scores - expected).abs().max().item()
    if not apart <= TOLERANCE[run.config.dtype] * scale:
        raise FolderError(f"{name} of {run.folder} has scores that differ by {apart:.1e}")
    return apart


def _preprocessing(run: Trained) -> Mapping[str, Any]:
    """How inputs are made: of a table as recorded; of images by white and the mean colour."""
    if isinstance(run.config.data, CustomDataConfig):
        return _of_custom(run.config)
    if isinstance(run.config.data, Measured):
        return preprocessing_of(run)
    data, root = run.config.data, getattr(run.config.data, "root", None)
    mean = normalization(data.name, root=root, val_rows=data.val_rows)
    classes = [str(one) for one in range(data.classes)]
    return {"images": data.name, **mean, "classes": classes}


def _of_custom(config: RunConfig) -> Mapping[str, Any]:
    """Of data of one's own: what returns them, and the classes or the unit of the target."""
    made = {key: path for key, path in import_paths(config).items() if key == "data.load"}
    if config.data.classes > 1:
        return {**made, "classes": [str(one) for one in range(config.data.classes)]}
    data = data_of(config)
    return {**made, "target_mean": data.target_mean, "target_scale": data.target_scale}


def is_free(folder: Path) -> bool:
    """Whether a folder holds nothing, or nothing but what an export has written."""
    ours = {MODEL, PARAMETERS, ONNX, PREPROCESSING, "__pycache__"}
    return not folder.exists() or {one.name for one in folder.iterdir()} <= ours

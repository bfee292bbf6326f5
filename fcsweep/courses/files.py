"""Files of parameters: safetensors, and the ``.pth`` files of EECS 498/598.

Such a ``.pth`` is a dict with ``params``, ``reg`` and more, written by ``torch.save``. It is read
with torch's ``weights_only``, which executes nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fcsweep.kernels.parameters import Parameters

ENDINGS = (".pth", ".pt")
STARTS = (b"PK", b"\x80\x02")
"""Of a zip archive, and of what older versions of torch wrote."""
FORM = "expected a file that save wrote, or a .pth of EECS 498/598 with a dict of params"


def write(
    path: str | Path, params: Parameters, reg: Tensor, dropout: Tensor, **others: Any
) -> None:
    """Write the parameters of a net; to a ``.pth`` as the course does, with the further entries.

    Raises:
        ValueError: a stack in a ``.pth``, which holds one trial.
    """
    if Path(path).suffix not in ENDINGS:
        save_file({name: p.contiguous() for name, p in params.items()}, path)
        return
    if params.trials:
        why = f"{path} would hold a stack of {params.trials.numel()} nets, and a .pth holds one"
        raise ValueError(f"{why}; give a name that ends with .safetensors")
    p = dropout.item()
    settings = {
        "reg": reg.item(),
        "dtype": params.dtype,
        "num_layers": len(params.layers),
        "use_dropout": p > 0,
        "dropout_param": {"mode": "train", "p": p} if p else {},
    }
    write_pth(path, params, **settings, **others)


def write_pth(path: str | Path, params: Mapping[str, Tensor], **others: Any) -> None:
    """Write parameters and further entries as a ``.pth``."""
    torch.save({**others, "params": {name: _copy(p) for name, p in params.items()}}, path)


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Parameters by name, and ``reg`` and ``dropout`` where a ``.pth`` says what they are.

    Raises:
        FileNotFoundError: it does not exist.
        ValueError: it is damaged, of another form, or would execute something.
    """
    with open(path, "rb") as file:
        start = file.read(2)
    if start not in STARTS:
        try:
            return load_file(path), {}
        except SafetensorError as error:
            raise ValueError(f"{path} cannot be read ({error}); {FORM}") from error
    saved = _read_pth(path)
    params = saved.get("params") if isinstance(saved, dict) else None
    if not isinstance(params, dict) or not all(isinstance(p, Tensor) for p in params.values()):
        raise ValueError(f"{path} has no dict of tensors named params; {FORM}")
    return params, _settings(saved)


def _settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    settings = {"reg": saved.get("reg", 0.0)}
    if isinstance(param := saved.get("dropout_param"), dict):
        settings["dropout"] = param.get("p", 0.0)
    return settings


def _read_pth(path: str | Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what older versions wrote
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of half a dozen kinds
        _, unsafe, rest = str(error).partition("GLOBAL ")
        why = f"cannot be read ({type(error).__name__})"
        if unsafe:
            why = f"holds {rest.split()[0]}, which could execute something, and is not read"
        raise ValueError(f"{path} {why}; {FORM}") from error


def dims_of(params: Mapping[str, Tensor], like: Parameters, path: str | Path) -> tuple[int, ...]:
    """Numbers of input, hidden and output units of ``W1``, ``b1``, ``W2`` ...

    Raises:
        ValueError: they are not the parameters of a fully connected net of the same parts.
    """
    shapes = {name: tuple(p.shape) for name, p in params.items()}
    weights = [shapes.get(f"W{number + 1}", ()) for number in range(len(shapes) // 2)]
    dims = (
        *(shape[0] for shape in weights[:1] if shape),
        *(shape[-1] for shape in weights if shape),
    )
    if not shapes or shapes != like.shapes_of(dims):
        raise ValueError(f"{path} holds {shapes}; expected W1, b1, W2 ... of layers that fit")
    return dims


def _copy(p: Tensor) -> Tensor:
    return p.cpu().clone(memory_format=torch.contiguous_format)

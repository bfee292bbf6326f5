"""What runs show: findings as tables, and pictures of them in one style.

Axes have units and are logarithmic where the search is; colours are those of Okabe and Ito, which
colour-blind readers tell apart, and no picture depends on them alone. pyplot and its global state
are not used. Importing this package imports neither pandas nor matplotlib: a picture's function
brings them when it is first asked for, and findings need them only for tables of pandas.

::

    figure = learning_curves(load_history(folder), {"sgd": [...], "momentum": [...]})
    save(figure, "curves.png")

=================  ==============================================================
``findings.py``    what a sweep found, as tables
``variation.py``   how much of the values a parameter explains
``curves.py``      curves over epochs and steps
``repeats.py``     runs that differ in their seed alone, as points with means
``landscapes.py``  values over parameters and trials
``workers.py``     which worker trained which runs, and when
``style.py``       the style; `save` for a file
=================  ==============================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcsweep.analysis.curves import accuracies as accuracies
    from fcsweep.analysis.curves import learning_curves as learning_curves
    from fcsweep.analysis.curves import loss_per_step as loss_per_step
    from fcsweep.analysis.curves import speeds as speeds
    from fcsweep.analysis.curves import spread as spread
    from fcsweep.analysis.landscapes import importance as importance
    from fcsweep.analysis.landscapes import landscape as landscape
    from fcsweep.analysis.landscapes import parallel as parallel
    from fcsweep.analysis.landscapes import progress as progress
    from fcsweep.analysis.style import save as save

MODULES = {
    "curves": ("accuracies", "learning_curves", "loss_per_step", "speeds", "spread"),
    "landscapes": ("importance", "landscape", "parallel", "progress"),
    "style": ("save",),
}
"""Where each picture is drawn."""


def __getattr__(name: str) -> Any:
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"fcsweep.analysis.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Pictures of runs, in one style: matplotlib figures as functions of tables.

Axes have units and are logarithmic where the search is; colours are those of Okabe and Ito, which
colour-blind readers tell apart, and no picture depends on them alone. pyplot and its global state
are not used.

::

    figure = learning_curves(load_history(folder), {"sgd": [...], "momentum": [...]})
    save(figure, "curves.png")

===============  =================================================================
``training.py``  curves over epochs and steps
``searches.py``  values over parameters and trials
``style.py``     the style; `save` for a file, `svg` for a part of a page
===============  =================================================================
"""

from fcsweep.plots.searches import importance, landscape, parallel, progress
from fcsweep.plots.style import save, svg
from fcsweep.plots.training import accuracies, learning_curves, loss_per_step, speeds, spread

__all__ = [
    "accuracies",
    "importance",
    "landscape",
    "learning_curves",
    "loss_per_step",
    "parallel",
    "progress",
    "save",
    "speeds",
    "spread",
    "svg",
]

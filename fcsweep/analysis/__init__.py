"""What runs show: findings as tables, and pictures of them in one style.

Axes have units and are logarithmic where the search is; colours are those of Okabe and Ito, which
colour-blind readers tell apart, and no picture depends on them alone. pyplot and its global state
are not used.

::

    figure = learning_curves(load_history(folder), {"sgd": [...], "momentum": [...]})
    save(figure, "curves.png")

=================  ==============================================================
``findings.py``    what a sweep found, as tables
``curves.py``      curves over epochs and steps
``repeats.py``     runs that differ in their seed alone, as points with means
``landscapes.py``  values over parameters and trials
``style.py``       the style; `save` for a file, `svg` for a part of a page
=================  ==============================================================
"""

from fcsweep.analysis.curves import accuracies, learning_curves, loss_per_step, speeds, spread
from fcsweep.analysis.landscapes import importance, landscape, parallel, progress
from fcsweep.analysis.style import save, svg

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

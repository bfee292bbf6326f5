"""``report.html``: one page that answers what won, why, and whether to trust it.

====================  =====================================================================
``__main__.py``       ``python -m fcsweep.report DIR...``
``page.py``           `write`: fills the template, from what the records hold
``contents.py``       what the page is made of: the records of runs, or a study
``comparison.py``     several sweeps on one page
``embedded.py``       the same as JSON, for the scripts
``tables.py``         its tables
``ensembles.py``      what an ensemble brings over the best trial
``figures.py``        which figures it has, and what each shows
``plots.py``          the figures as files, by matplotlib
``foreign_study.py``  the search of another Hydra app, from its study or its ``trials.csv``
``words.py``          the question, the answer and how far to trust it, in sentences
====================  =====================================================================

``page.html`` is the template, with ``page.css`` and ``scripts/``, which draw the figures in the
browser by uPlot (``uplot/``, as published, with its license). Nothing is fetched.

Left out: anything that is not in the records. The page can be made again at any time.
"""

from fcsweep.report.page import FILE, compare, write

__all__ = ["FILE", "compare", "write"]

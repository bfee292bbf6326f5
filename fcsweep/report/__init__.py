"""``report.html``: one page that answers what won, why, and whether to trust it.

====================  =====================================================================
``__main__.py``       ``python -m fcsweep.report DIR``
``page.py``           `write`: fills the template, from what the records hold
``contents.py``       what the page is made of: the records of runs, or a study
``pictures.py``       its pictures, and what each shows
``foreign_study.py``  the search of another Hydra app, from its study or its ``trials.csv``
``words.py``          the question, the answer and how far to trust it, in sentences
``page.html``         the template, with ``page.css`` and ``page.js``; nothing is fetched
====================  =====================================================================

Left out: anything that is not in the records. The page can be made again at any time.
"""

from fcsweep.report.page import FILE, write

__all__ = ["FILE", "write"]

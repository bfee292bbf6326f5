"""``@fcsweep.app`` and ``@fcsweep.stackable``: another Hydra app with what this program has.

The first gives it the display, the errors and the page, the second trains its jobs together.

================  ==============================================================
``app.py``        the decorator, and what it puts around the app's own sweeps
``grid.py``       a grid: its display, and its jobs as rows of the table
``jobs.py``       what a job leaves: its log, and how it ended
``search.py``     a search: its display, and its trials as rows of the table
``stackable.py``  the decorator by which a task hands over what its jobs train
``training.py``   a stack of jobs: which can share one, and how it trains
================  ==============================================================
"""

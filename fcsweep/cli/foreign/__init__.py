"""``@fcsweep.app``: another Hydra app with the display, the errors and the page of this program.

================  ==============================================================
``app.py``        the decorator, and what it puts around the app's own sweeps
``grid.py``       a grid: its display, and its jobs as rows of the table
``jobs.py``       what a job leaves: its log, and how it ended
``search.py``     a search: its display, and its trials as rows of the table
================  ==============================================================
"""

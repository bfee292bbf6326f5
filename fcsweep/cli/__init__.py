"""The command line: ``python -m fcsweep``, also as the console script ``fcsweep``.

=====================  =========================================================
``main.py``            the program: arguments, Hydra, errors as one line
``app.py``             what a run and a sweep do around Hydra's own work
``checks.py``          what is checked before anything is made
``completion.py``      completion by the tab key
``help.py``            every key of every option, from the schemas
``hydra_main.py``      ``hydra.main`` with another application class
``swept_settings.py``  Hydra's settings in an experiment that is a value of a sweep
``summary.py``         what is written and said at the end; the table is ``terminal/sweep_view.py``
``task.py``            the task that Hydra runs
``watching.py``        a grid that other processes train
=====================  =========================================================

``foreign/`` has ``@fcsweep.app``, which gives another Hydra app the same display.
"""

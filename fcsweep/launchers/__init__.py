"""Which jobs train together, and where.

=================  =============================================================
``protocols.py``   what a task, a loader, a launcher and a sweeper offer each other
``stacked.py``     the stacked launcher: stack by stack
``job.py``         Hydra's bookkeeping for a job of a stack
``grouping.py``    which trials share a stack, and how many by a simple rule
``modules.py``     jobs of another app whose task hands over modules
``stack_size.py``  how many in a grid, learnt from CPU time
``numbered.py``    jobs launched under numbers of their own, by any launcher
``unfinished.py``  only the jobs of a grid that are not finished, for one of several workers
``logs.py``        the log of each job of a stack
=================  =============================================================
"""

"""What is seen while something runs, and at its end.

==================  ============================================================
``console.py``      the terminal, or the file or the pipe in its place
``run_view.py``     a run
``stack_view.py``   a stack
``search_view.py``  a search
``grid_view.py``    a grid of another app, and the bar that a search has, too
``sweep_view.py``   the runs of a sweep as a table
==================  ============================================================
"""

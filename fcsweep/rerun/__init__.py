"""``python -m fcsweep.rerun``: train again as recorded, and compare bit for bit.

=================  =============================================================
``__main__.py``    the command
``repeat.py``      train every run of some folders again
``comparison.py``  the verdict, the first difference, its likely cause
``gap.py``         how far the numbers lie apart on another processor
=================  =============================================================
"""

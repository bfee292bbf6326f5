"""``python -m fcsweep.ensemble SWEEP``: trials of a sweep that predict better together.

=================  =============================================================================
``__main__.py``    the command
``candidates.py``  which trials of a sweep can be members
``selection.py``   greedy selection with replacement
``making.py``      from a sweep to its ``ensemble.json``
=================  =============================================================================
"""

"""``python -m fcsweep.ensemble SWEEP``: trials of a sweep that predict better together.

=================  =============================================================================
``__main__.py``    the command
``candidates.py``  which trials of a sweep can be members
``selection.py``   greedy selection with replacement
``making.py``      from the candidates to the ensemble and its scores
``sweep.py``       select, write ``ensemble.json``, and say what it brings
=================  =============================================================================
"""

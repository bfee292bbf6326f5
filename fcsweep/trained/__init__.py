"""Trained nets, read from the records of their runs to be used.

====================  ========================================================================
``runs.py``           the best parameters of a run
``predictions.py``    predictions of many runs, as stacks
``ensembles.py``      the members of an ensemble
``rows.py``           further rows of a table, as inputs of nets that were trained on it
====================  ========================================================================
"""

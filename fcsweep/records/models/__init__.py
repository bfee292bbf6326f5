"""What is kept of trained nets for their use, beside the records of a run.

=====================  =======================================================================
``ensemble.py``        ``ensemble.json``: which trials of a sweep vote together, with weights
=====================  =======================================================================
"""

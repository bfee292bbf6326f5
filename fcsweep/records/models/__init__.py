"""What is kept of trained nets for their use, beside the records of a run.

=====================  =======================================================================
``ensemble.py``        ``ensemble.json``: which trials predict together, with weights
=====================  =======================================================================
"""

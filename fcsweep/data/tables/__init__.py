"""Tables: rows of numbers and categories, and a class for each.

====================  ==========================================================================
``loading.py``        a table as tensors, its sizes, its fingerprint, and what is told of it
``files.py``          reads CSV, Parquet, Feather, NPZ and NPY without trusting them
``target.py``         the class of each row
``splits.py``         which rows train, validate and test
``columns.py``        columns as numbers: scaled, filled, one-hot, by the training rows alone
``preprocessing.py``  the same of further rows, from ``preprocessing.json``
====================  ==========================================================================

Importing a module of this package imports pandas: only what has a table imports one.
"""

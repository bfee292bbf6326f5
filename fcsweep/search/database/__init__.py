"""A study in PostgreSQL, on which workers of several machines work.

===============  ==================================================================
``storage.py``   what Optuna and the search read and write, kept in memory in between
``tables.py``    Optuna's tables: columns read at once, rows written together
``opening.py``   opening a database
``engines.py``   connections to it
``patience.py``  waiting for a database that does not answer
``looking.py``   looking at a study, of which nothing is written
``crew.py``      the workers: the lock, signs of life, who is taken for dead
===============  ==================================================================
"""

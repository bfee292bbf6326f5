"""Where a sweep stands, seen from outside: who works on it, what runs, how long it will take.

Everything is read, at any time and without a lock: a sweep does not notice.

``standing.py``  what is known of a sweep, its trials and its workers
``folder.py``    read from the folder of a run, a grid or a search
``jobs.py``      read from the records of its jobs
``study.py``     read from a study, of a folder or by the URL of its database
``workers.py``   which processes are there, and what each works on
``estimate.py``  how long it will take
``words.py``     as lines of 80 columns
``plain.py``     as JSON
``__main__.py``  ``python -m fcsweep.status``
"""

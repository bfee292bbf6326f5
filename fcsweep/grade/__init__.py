"""``python -m fcsweep.grade FOLDER...``: train students' hand-ins again, a row each.

===============  ===========================================================================
``__main__.py``  the command
``hand_in.py``   which run of a folder is graded, and that the folder is harmless to read
``grading.py``   a hand-in: trained again, compared, tested
``grades.py``    ``grades.csv``, up to date after each hand-in
===============  ===========================================================================

What students hand in is read as data: nothing of a folder is imported, unpickled or executed.
"""

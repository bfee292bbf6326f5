"""Convert what the courses' notebooks use to the textbook's form, and back.

====================  ==============================================================
``own_model.py``      a model with ``params`` and ``loss(X, y)`` as a stack of one
``rule_function.py``  an update rule that is a plain function ``(w, dw, config)``
``files.py``          parameters in ``.pth`` files of the courses' form
``imported.py``      code of one's own that is named by import path
``keywords.py``       what to write in place of keywords that only the courses have
====================  ==============================================================

Arrays and numbers of NumPy are `fcsweep.kernels.arrays`.
"""

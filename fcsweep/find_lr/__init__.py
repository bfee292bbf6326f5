"""``python -m fcsweep.find_lr``: the loss after an epoch over the learning rate, and a suggestion.

=================  =====================================================================
``__main__.py``    the command
``training.py``    one stack of nets that differ in their learning rate alone
``suggestion.py``  which rate, and why
``drawing.py``     loss over rate: on a terminal, as a picture, as a table
=================  =====================================================================
"""

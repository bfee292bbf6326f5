"""Hyperparameter sweeps for small fully connected nets, written from scratch.

Importing this package imports nothing heavy; take what you need from its modules, e.g.
``from fcsweep.nets import FullyConnectedNet``.
"""

__version__ = "0.1.0"

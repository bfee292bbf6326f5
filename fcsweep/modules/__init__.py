"""Modules of torch of one's own, as a stack that the Solver trains like a net of ``fcsweep.nets``.

::

    net = ModuleNet([make() for _ in range(64)], input_dim=64, num_classes=10, seed=0)
    Solver(net, data, optim_config={"learning_rate": rates})  # one rate each

=================  ==============================================================
``net.py``         `ModuleNet`: scores, loss and gradients of all modules at once
``form.py``        what the modules of a stack have in common, and what may differ
``dropout.py``     dropout with masks that are drawn from each trial's own stream
``own_loss.py``    a loss of one's own, with the gradient that torch derives
=================  ==============================================================
"""

from fcsweep.modules.net import ModuleNet

__all__ = ["ModuleNet"]

"""Who starts the workers of a sweep, and how.

===============  ======================================================================
``starter.py``   what a starter does, and how a sweep waits for what it has started
``settings.py``  the starter that ``hydra.launcher`` asks for
``command.py``   what is started: the command of the sweep, as that of one of its workers
``local.py``     processes on this machine
``slurm.py``     jobs of Slurm
``ray.py``       tasks of a cluster of Ray
===============  ======================================================================
"""

"""Who starts the workers of a sweep.

=============  ==============================================================================
``local.py``   the workers of ``hydra.launcher.workers``: this command, started several times
=============  ==============================================================================
"""

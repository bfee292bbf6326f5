"""``hydra_plugins.hydra_optuna_sweeper``, for the code and the configs that name it.

=====================  ================================================================
``config.py``          the dataclasses of its configs, with our keys and defaults
``optuna_sweeper.py``  the sweeper's class, which such configs have as ``_target_``
``_impl.py``           the functions that read overrides
=====================  ================================================================

They lie in ``_hydra_optuna_sweeper/``. hydra-optuna-sweeper installs a folder of this module's
name, which Python prefers to a module while it is there: neither package overwrites a file of the
other, and uninstalling that one leaves ours.
"""

from importlib import import_module
from pathlib import Path

__path__ = [str(Path(__file__).with_name("_hydra_optuna_sweeper"))]  # makes this a package

OptunaSweeper = import_module(f"{__name__}.optuna_sweeper").OptunaSweeper  # for Hydra, which scans

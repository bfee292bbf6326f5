"""The Optuna sweeper: what is searched, how a study is kept, and how a running job is pruned.

``hydra/sweeper=optuna`` makes any Hydra app a search; its task calls `should_prune` to have its
unpromising trials stopped early, and `note` and `constrain` to tell more of a trial.

================  =============================================================================
``settings.py``   the keys of the sweeper and its groups; light, imported by every Hydra program
``plan.py``       the settings of a search, checked before its folder is made
``overrides.py``  Hydra's sweep overrides as Optuna's distributions, and values as overrides
``space.py``      what is searched, and what a trial has of it as overrides
``sweep.py``      a sweep of any app around its search: folder, study, launcher
``loop.py``       the search itself: ask, launch, tell
``pruning.py``    `should_prune`, `prune`: reports of running jobs
``outcomes.py``   how a trial ended: by its record, or by what its job returned
``results.py``    ``optimization_results.yaml`` and the other files of a sweep
``progress.py``   what is shown of a search
``study/``        what a search knows of its trials, and how that is kept
``conf/``         ``hydra/sweeper=optuna``, which every app finds
================  =============================================================================

Importing this package imports neither torch nor Optuna.
"""

from fcsweep.search.pruning import prune, should_prune
from fcsweep.search.study.trial import constrain, note, trial_number, trial_params

__all__ = ["constrain", "note", "prune", "should_prune", "trial_number", "trial_params"]

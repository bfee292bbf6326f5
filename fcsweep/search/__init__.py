"""The Optuna sweeper: what is searched, how a study is kept, and how a running job is pruned.

``hydra/sweeper=optuna`` makes any Hydra app a search; its task calls `should_prune` to have its
unpromising trials stopped early.

===============  ================================================================================
``settings.py``  the keys of the sweeper and its groups; light, imported by every Hydra program
``space.py``     Hydra's sweep overrides as Optuna's distributions, and values as overrides
``samplers.py``  samplers and pruners from their nodes; a fresh, seeded sampler for every trial
``storage.py``   the journal in the sweep's folder, or a database
``study.py``     a study, new or resumed: what belongs to it, which trials come next
``pruning.py``   `should_prune`, `prune`: reports of running jobs
``outcomes.py``  how a trial ended: by its record, or by what its job returned
``results.py``   ``optimization_results.yaml`` and the other files of a sweep
``progress.py``  what is shown of a search
``sweep.py``     the search itself: ask, launch, tell
===============  ================================================================================

Importing this package imports neither torch nor Optuna.
"""

from fcsweep.search.pruning import prune, should_prune

__all__ = ["prune", "should_prune"]

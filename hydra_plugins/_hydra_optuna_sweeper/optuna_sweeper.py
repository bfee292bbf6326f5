"""The class that configs for hydra-optuna-sweeper name."""

from typing import Any

from hydra_plugins import fcsweep


class OptunaSweeper(fcsweep.OptunaSweeper):
    """Ours, with the arguments in the order of hydra-optuna-sweeper, for subclasses."""

    def __init__(
        self,
        sampler: Any = None,
        direction: Any = "minimize",
        storage: Any = None,
        study_name: str | None = None,
        n_trials: int = 20,
        n_jobs: int = 2,
        max_failure_rate: float = 0.0,
        custom_search_space: str | None = None,
        params: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(
            sampler=sampler,
            direction=direction,
            storage=storage,
            study_name=study_name,
            n_trials=n_trials,
            n_jobs=n_jobs,
            max_failure_rate=max_failure_rate,
            custom_search_space=custom_search_space,
            params=params,
            **more,
        )

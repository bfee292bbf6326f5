"""Options of Hydra's groups for every app; ours has its own in ``conf/``, which comes first."""

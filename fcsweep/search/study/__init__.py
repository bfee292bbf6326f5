"""What a search knows of its trials, and how that is kept.

=================  ================================================================
``study.py``       a study, new or resumed: opening it, what belongs to it, how its trials ended
``batches.py``     which trials come next, and their parameters
``window.py``      a study as the trials of one batch may see it
``storage.py``     the journal in the sweep's folder, or a database
``samplers.py``    samplers and pruners from config nodes; a seeded sampler for every trial
``targets.py``     the classes, functions and objects that such nodes name
``trial.py``       a running job and its trial: `note`, `constrain`, `trial_params`
``repeats.py``     how often each trial is trained, and how its values become one
``duplicates.py``  trials with the point of an earlier one
``rebuild.py``     a study whose journal is gone or cut short, from the records of the runs
=================  ================================================================
"""

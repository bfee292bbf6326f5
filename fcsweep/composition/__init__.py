"""How Hydra composes, checks and saves a config.

=====================  =========================================================
``loader.py``          Hydra's loader, with every config checked where it is composed
``overrides.py``       overrides as they are read, and what is refused of them
``jobs.py``            the jobs of a sweep from one reading of the YAML
``job_files.py``       what Hydra saves of a job, without composing it
``conditional.py``     which overrides apply to a job: its options have their keys
``stored_schemas.py``  the schemas in Hydra's ConfigStore
``folders.py``         the folders of a sweep and of its jobs
``yaml_files.py``      a user's YAML, bounded and checked
``yaml_dump.py``       saved YAML
``secrets.py``         no secret in a config that is saved
=====================  =========================================================
"""

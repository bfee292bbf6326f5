"""Trackers: TensorBoard, MLflow and W&B log runs, while they train or afterwards.

==================  ==========================================================================
``contents.py``     what a tracker gets of a run: the one description for all of them
``tracker.py``      `Tracker`: what a tracker is asked to do; `open_tracker`
``observer.py``     `Tracking`: tells trackers while trials train, and never fails
``tensorboard.py``  event files in the folder of each run
``mlflow.py``       runs of an experiment, in the store that MLflow is set to
``wandb.py``        runs of a group, online or offline as W&B is set to
==================  ==========================================================================

Importing this package imports no tracker.
"""

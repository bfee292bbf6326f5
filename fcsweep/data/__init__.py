"""What is trained on: images, such as ``digits``, and tables.

::

    data = load("digits")
    data.X_train, data.y_train        # (1397, 64) float32, (1397,) int64

A set of images is stored as integer pixels and served as in the course: pixels scaled to [0, 1],
minus the mean of each colour plane over all training images of the set, one flattened row per
image (preprocess_cifar10 of EECS 498-007, assignment 3). The sets are in the package ``images/``,
tables in ``tables/``.

===============  ================================================================================
``choice.py``    the data that a config names
``dataset.py``   `Dataset`: what a run trains on and is validated on, as tensors
``custom.py``    arrays that a function of the user's own returns
``download.py``  published files, each from the first mirror that has it
``cache.py``     the cache folder, and the copies in it for a fast second start
===============  ================================================================================

Importing this package imports torch and numpy; it imports pooch, safetensors and, for a table,
pandas on their first use.
"""

from fcsweep.data.dataset import Dataset
from fcsweep.data.images.loading import SETS, load, load_test, require
from fcsweep.messages.errors import DataError

__all__ = ["SETS", "DataError", "Dataset", "load", "load_test", "require"]

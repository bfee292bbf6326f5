"""1,797 handwritten digits of 8 x 8 grey pixels from 0 to 16, which come with scikit-learn.

Source: the test part of "Optical Recognition of Handwritten Digits" (UCI, Alpaydin and Kaynak).
"""

import importlib.util
from pathlib import Path

import numpy as np

from fcsweep.data.images.image_set import Images, ImageSet
from fcsweep.messages.errors import DataError

WHITE = 16
SIZES = (1397, 200, 200)


def read() -> Images:
    """All images, in an order that is the same everywhere and always.

    The published order goes from writer to writer, so the rows are shuffled before they are
    split: otherwise the images that validate would be by people of whom the net has seen nothing.
    numpy's policy (NEP 19) freezes the stream of `RandomState`, but not that of its newer
    generators.

    Raises:
        DataError: The installed scikit-learn holds other digits.
    """
    table = _table()
    if table.shape != (sum(SIZES), 65) or table.max() > WHITE:
        raise DataError(
            f"the digits of the installed scikit-learn have shape {table.shape} and values up to "
            f"{table.max()}, expected {(sum(SIZES), 65)} and {WHITE}: install the tested versions, "
            "pip install -c constraints.txt"
        )
    table = table[np.random.RandomState(0).permutation(len(table))]
    pixels, labels = np.hsplit(table, [64])
    return Images(pixels, labels[:, 0])


def _table() -> np.ndarray:
    """``(1797, 65)`` uint8, the label last, in the published order.

    The file is read without importing scikit-learn, which takes 1 s, nearly all of it scipy, in
    every process that trains: as long as torch takes. Should the file ever move, scikit-learn's
    own loader knows where it is.
    """
    found = importlib.util.find_spec("sklearn")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return np.loadtxt(file, delimiter=",", dtype=np.uint8)
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels, labels]).astype(np.uint8)


DIGITS = ImageSet("digits", SIZES, planes=1, white=WHITE, classes=10, read=read)

"""What a run is: typed configs with units, ranges and defaults, and the one door they pass.

::

    config = typed(cfg)  # as Hydra composed it, or as read("RUN_DIR/.hydra/config.yaml")
    config.optimizer.learning_rate  # a float > 0

===================  ====================================================================
``allowed.py``       what a value may be: `Range`, `Words`, ...; `Rows`
``fields.py``        the keys of a schema: defaults, what may stand there, what is per trial
``optimizers.py``    a dataclass for each update rule, with every default and unit
``data_sets.py``     a dataclass for each data set
``schemas.py``       a dataclass for each other option, `RunConfig`, `GROUPS`
``meaning.py``       what each key means, as ``--help`` tells it
``sizes.py``         how large a run is: its parameters, its steps, the bytes of a number
``check.py``         `typed`: check a config, return plain dataclasses
``saved.py``         `read`: the config of a run as data; `flat` and `differences`
``import_paths.py``  which code of the user's own a config names
===================  ====================================================================

Left out: building nets, rules and data from a config, which is the run's work. Importing this
package imports neither torch nor Hydra.
"""

from fcsweep.config.allowed import Range, Rows
from fcsweep.config.check import check_sizes, typed
from fcsweep.config.data_sets import (
    Cifar10Config,
    CustomDataConfig,
    DataConfig,
    DigitsConfig,
    ImagesConfig,
    MeasuredConfig,
    MnistConfig,
    SklearnConfig,
    SyntheticConfig,
    TableConfig,
)
from fcsweep.config.meaning import allowed_of
from fcsweep.config.optimizers import (
    AdamConfig,
    AdamwConfig,
    CustomConfig,
    MomentumConfig,
    NesterovConfig,
    OptimizerConfig,
    RmspropConfig,
    SgdConfig,
)
from fcsweep.config.saved import differences, flat, read
from fcsweep.config.schemas import (
    GROUPS,
    NO_NUMBER,
    FullyConnectedConfig,
    LayeredConfig,
    ModelConfig,
    RunConfig,
    SolverConfig,
    TorchConfig,
    TwoLayerConfig,
    conditional_keys,
    known_keys,
)
from fcsweep.messages.errors import ConfigError as ConfigError

__all__ = [
    "GROUPS",
    "NO_NUMBER",
    "AdamConfig",
    "AdamwConfig",
    "Cifar10Config",
    "ConfigError",
    "CustomConfig",
    "CustomDataConfig",
    "DataConfig",
    "DigitsConfig",
    "FullyConnectedConfig",
    "ImagesConfig",
    "LayeredConfig",
    "MeasuredConfig",
    "MnistConfig",
    "ModelConfig",
    "MomentumConfig",
    "NesterovConfig",
    "OptimizerConfig",
    "Range",
    "RmspropConfig",
    "Rows",
    "RunConfig",
    "SgdConfig",
    "SklearnConfig",
    "SolverConfig",
    "SyntheticConfig",
    "TableConfig",
    "TorchConfig",
    "TwoLayerConfig",
    "allowed_of",
    "check_sizes",
    "conditional_keys",
    "differences",
    "flat",
    "known_keys",
    "read",
    "typed",
]

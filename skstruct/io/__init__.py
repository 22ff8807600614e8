"""Files of datasets, and of graphical models in the text formats of the UAI inference competitions."""

from skstruct.io._dataset_folder import load_dataset, save_dataset
from skstruct.io._uai import UAIModel, read_uai, read_uai_log_partition, read_uai_marginals, write_uai

__all__ = [
    "UAIModel",
    "load_dataset",
    "read_uai",
    "read_uai_log_partition",
    "read_uai_marginals",
    "save_dataset",
    "write_uai",
]

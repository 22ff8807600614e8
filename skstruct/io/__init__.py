"""Files of annotated sentences, datasets and fitted models, and graphical models of the UAI inference competitions."""

from skstruct.io._conll import read_conll, read_conllu
from skstruct.io._dataset_folder import load_dataset, save_dataset
from skstruct.io._models import load_model, trusted_types
from skstruct.io._uai import UAIModel, read_uai, read_uai_log_partition, read_uai_marginals, write_uai

__all__ = [
    "UAIModel",
    "load_dataset",
    "load_model",
    "read_conll",
    "read_conllu",
    "read_uai",
    "read_uai_log_partition",
    "read_uai_marginals",
    "save_dataset",
    "trusted_types",
    "write_uai",
]

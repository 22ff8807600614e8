"""Files: annotated sentences, datasets, predictions, fitted models, and graphical models of the UAI competitions."""

from skstruct.io._checkpoints import Checkpoints
from skstruct.io._conll import read_conll, read_conllu
from skstruct.io._dataset_folder import load_dataset
from skstruct.io._dataset_writer import DatasetWriter, save_dataset
from skstruct.io._models import load_model, trusted_types
from skstruct.io._predictions import predict_to_file
from skstruct.io._uai import UAIModel, read_uai, read_uai_log_partition, read_uai_marginals, write_uai

__all__ = [
    "Checkpoints",
    "DatasetWriter",
    "UAIModel",
    "load_dataset",
    "load_model",
    "predict_to_file",
    "read_conll",
    "read_conllu",
    "read_uai",
    "read_uai_log_partition",
    "read_uai_marginals",
    "save_dataset",
    "trusted_types",
    "write_uai",
]

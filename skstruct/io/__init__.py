"""Readers and writers of graphical models in the text formats of the UAI inference competitions."""

from skstruct.io._uai import UAIModel, read_uai, read_uai_log_partition, read_uai_marginals, write_uai

__all__ = ["UAIModel", "read_uai", "read_uai_log_partition", "read_uai_marginals", "write_uai"]

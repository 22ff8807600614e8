"""Training and prediction on a Dask cluster; needs the extra ``dask``."""

from skstruct.distributed._classifier import DaskGraphCRFClassifier

__all__ = ["DaskGraphCRFClassifier"]

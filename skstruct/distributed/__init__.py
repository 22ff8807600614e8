"""Training and prediction on a Dask cluster; needs the extra ``dask``."""

from skstruct.distributed._classifier import DaskGraphCRFClassifier
from skstruct.distributed._transformer import DaskTransformer

__all__ = ["DaskGraphCRFClassifier", "DaskTransformer"]

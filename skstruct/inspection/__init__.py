"""What a fitted estimator has learnt, and how certain it is."""

from skstruct.inspection._standard_errors import standard_errors

__all__ = ["standard_errors"]

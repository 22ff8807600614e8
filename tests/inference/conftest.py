"""A law that several backends keep."""

import pytest


@pytest.fixture
def check_gradient_of_log_partition(rng):
    """Compare marginals with central differences of the log-partition, in a random direction for each tensor."""

    def check(plan, scores, step=1e-5):
        found = plan.marginals(scores)
        for tensor, gradient in (("node", found.node), ("edge", found.edge)):
            direction = rng.normal(size=gradient.shape)
            up, down = (
                plan.marginals(scores._replace(**{tensor: getattr(scores, tensor) + h * direction})).log_partition
                for h in (step, -step)
            )
            assert (up - down)[0] / (2 * step) == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-7)

    return check

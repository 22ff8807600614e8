import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when scipy is imported
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path

import pytest
from sklearn import config_context

import skstruct

ROOT = Path(__file__).parents[1]

# Programs that the tests start import the package that is tested here, from whatever folder they run.
PACKAGE = str(Path(skstruct.__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join([PACKAGE, *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="session")
def shared_data():
    """Return the path of a file of the development data beside the repository; skip where it is absent."""

    def find(name):
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"needs {name} in ../shared/data, development data outside the repository")
        return path

    return find


@pytest.fixture
def array_api_dispatch():
    """Turn on scikit-learn's array API dispatch; skip where the installed scipy cannot."""
    try:
        context = config_context(array_api_dispatch=True)
        context.__enter__()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"array API dispatch: {error}")
    yield
    context.__exit__(None, None, None)

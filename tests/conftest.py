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


@pytest.fixture(scope="session")
def soak():
    """Fraction of their full size at which the tests of `make soak` run, from the environment variable SOAK."""
    return float(os.environ.get("SOAK", "0.01"))


@pytest.fixture
def figure(record_property):
    """Add a line to the figures that are printed after all tests."""
    return lambda line: record_property("figure", line)


def pytest_terminal_summary(terminalreporter):
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == "figure"]
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.write_line(line)


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

"""Models of the UAI competition, with their published results."""

import io
import zipfile

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import JunctionTree
from skstruct.io import read_uai, read_uai_log_partition, read_uai_marginals
from skstruct.scores import Scores

# ------------------------------------------------------------------------------------------ competition files
SIZES = {  # nodes, states, edges
    "CSP_11": (82, 4, 380),
    "DBN_11": (40, 2, 400),
    "Grids_11": (100, 2, 200),
    "Grids_17": (400, 2, 760),
    "ObjectDetection_11": (60, 11, 165),
    "ObjectDetection_25": (60, 21, 135),
    "Segmentation_15": (232, 2, 631),
}


@pytest.fixture(scope="module")
def competition(shared_data):
    with zipfile.ZipFile(shared_data("uai2014-pairwise.zip")) as archive:
        yield lambda name: io.TextIOWrapper(archive.open(name), encoding="ascii")


@pytest.mark.parametrize("name", SIZES)
def test_competition_models_parse(name, competition):
    model = read_uai(competition(f"{name}.uai"), competition(f"{name}.uai.evid"))
    reference = read_uai_marginals(competition(f"{name}.uai.MAR"))
    assert (*model.node_scores.shape, len(model.edges)) == SIZES[name]
    assert reference.shape == model.node_scores.shape
    np.testing.assert_allclose(reference.sum(axis=1), 1, atol=1e-4)
    assert (reference[np.isneginf(model.node_scores)] == 0).all()


def agrees_with_competition(name, competition):
    """Marginals within the six digits of the file, log10 of the partition function likewise."""
    model = read_uai(competition(f"{name}.uai"), competition(f"{name}.uai.evid"))
    topology = Topology.from_edges(model.edges, len(model.node_scores))
    plan = JunctionTree(max_entries=2e8).plan(topology, model.node_scores.shape[1])
    found = plan.marginals(Scores(model.node_scores, model.edge_scores))
    reference = read_uai_marginals(competition(f"{name}.uai.MAR"))
    np.testing.assert_allclose(found.node, reference, rtol=0, atol=1e-6)
    log_partition = read_uai_log_partition(competition(f"{name}.uai.PR"))
    assert found.log_partition[0] + model.log_constant == pytest.approx(log_partition, rel=5.1e-6)


@pytest.mark.parametrize("name", ["Grids_11", "Grids_13", "Segmentation_11", "Segmentation_13", "Segmentation_15"])
def test_junction_tree_agrees_with_the_competition(name, competition):
    agrees_with_competition(name, competition)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DBN_11", "DBN_15", "Grids_15", "Grids_17", "ObjectDetection_11"])
def test_junction_tree_agrees_with_the_competition_on_wide_models(name, competition):
    agrees_with_competition(name, competition)

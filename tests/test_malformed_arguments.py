"""Malformed arguments: the error names the argument, and not only what NumPy or Python could not do with its value."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from skstruct import Graph, GraphCRFClassifier, GraphDataset, as_ragged
from skstruct.calibration import TemperatureScalingCV
from skstruct.cli import main
from skstruct.datasets import load_snakes, make_chain
from skstruct.estimator import fitted_model
from skstruct.io import Checkpoints, load_dataset, load_model, predict_to_file, read_conll, read_conllu, write_uai
from skstruct.metrics import classification_report, confusion_matrix
from skstruct.plotting import (
    ConfusionMatrixDisplay,
    ExplanationDisplay,
    GraphDisplay,
    ImageDisplay,
    SequenceDisplay,
    TrainingCurveDisplay,
    TransitionsDisplay,
)
from skstruct.preprocessing import (
    AttributeVectorizer,
    EdgeFeatures,
    ImagesToGraphs,
    NodeTransformer,
    SequencesToGraphs,
    TokenTemplates,
)

pd = pytest.importorskip("pandas")
nx = pytest.importorskip("networkx")

X, y = make_chain(n_graphs=6, return_X_y=True, random_state=0)
CRF = GraphCRFClassifier(max_iter=5, tol=0.1).fit(X, y)
PROBA = np.full((2, 3), 1 / 3)
SCALAR = np.array(1.0)
RAGGED = [[1, 2], [3]]
NODES = pd.DataFrame({"graph": [0, 0], "size": [1.0, 2.0]})
DISPLAYS = {
    "sequence": lambda: SequenceDisplay(PROBA),
    "graph": lambda: GraphDisplay([[0, 1]], PROBA),
    "transitions": lambda: TransitionsDisplay(np.eye(3), [0, 1, 2]),
    "explanation": lambda: ExplanationDisplay.from_estimator(CRF, X, 0, 1),
}


def graph_of(attribute):
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, 1.0, "size")
    return GraphDataset.from_networkx([graph], attribute)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: X.take([0, [1]]), "graphs are selected by an integer"),
        (lambda: y.take([0, [1]]), "graphs are selected by an integer"),
        (lambda: X.take([0], np.zeros((0, 3))), "axis must be 0"),
        (lambda: X.nodes.take([0], np.zeros((0, 3))), "axis must be 0"),
        (lambda: y.take([0], np.zeros((0, 3))), "axis must be 0"),
        (lambda: Graph(PROBA).to_networkx(node_attributes=SCALAR), "node_attributes must be the name"),
        (lambda: graph_of([["size"]]), "node_attributes must be the name"),
        (lambda: graph_of(np.ma.masked), "node_attributes must be the name"),
        (lambda: GraphDataset.from_pyg(SCALAR), "expected a list of graphs"),
        (lambda: GraphDataset.from_pyg(SimpleNamespace(edge_index=0)), "pass a list of graphs"),
        (lambda: GraphDataset.from_frame(NODES, graph=["graph"]), "graph must be the name of a column"),
        (lambda: GraphDataset.from_frame(NODES, features="size"), "expected a list of columns in features, got 'size'"),
        (lambda: GraphDataset.from_frame(NODES, features=[["size"]]), r"no column \['size'\]"),
        (lambda: GraphDataset.from_frame(NODES.set_axis(["a", "a"], axis=1)), "nodes has columns of the same name"),
        (lambda: GraphDataset.from_images([RAGGED]), "image 0 must hold numbers in rows of equal length"),
        (lambda: GraphDataset.from_scipy(0.5, [PROBA]), "expected a list of adjacency matrices, got 0.5"),
        (lambda: GraphDataset.from_scipy([], 0.5), "expected a list of tables of node_features, got 0.5"),
        (lambda: EdgeFeatures(columns=[[]]).fit(X), "columns .* cannot be selected .* in a list, not in an array of"),
        (lambda: confusion_matrix([0], {0}), "predictions must be a list or an array"),
        (lambda: confusion_matrix([0, 1], [0, 1], labels=[0, np.nan]), "labels"),
        (lambda: as_ragged(np.array([["a", 1.5]], object), "y_pred"), "y_pred mixes strings and numbers"),
        (lambda: load_dataset("absent", mmap_mode=np.eye(2)), "mmap_mode must be"),
        (lambda: load_model("absent", trusted=SCALAR), "trusted must be a list of names of types"),
        (lambda: read_conll("absent", SCALAR, target=None), "columns must be a list of different names"),
        (lambda: read_conll("absent", ["w"], target=np.zeros(0)), "target must be one of the columns"),
        (
            lambda: write_uai("new", [[0]], [], [], log_constant=-(10**25)),
            "log_constant has an entry that is nan, inf or",
        ),
        (lambda: load_snakes([]), "subset must be"),
        (lambda: make_chain(2, (1,)), "n_nodes must be a number, or a tuple"),
        (lambda: fitted_model(3, X), "crf must be a GraphCRFClassifier"),
        (lambda: TemperatureScalingCV({}).fit(X, y), "estimator must be a GraphCRFClassifier or end in one"),
        (lambda: TemperatureScalingCV(CRF, cv=np.array([5])).fit(X, y), "cv must be a number, a splitter, or a list"),
        (lambda: TemperatureScalingCV(CRF, cv=[5]).fit(X, y), "cv must be a number, a splitter, or a list of pairs"),
        (lambda: TemperatureScalingCV(CRF, cv=range(3)).fit(X, y), "cv must be a number, a splitter, or a list"),
        (lambda: NodeTransformer(StandardScaler).fit(X), "transformer of NodeTransformer must be"),
        (lambda: classification_report([0], [0], target_names=3), "expected a list of names in target_names, got 3"),
        (lambda: EdgeFeatures(["distance"]).fit(X).get_edge_feature_names_out([[]]), "input_features"),
        (lambda: main([3]), "argv must be a list of strings"),
        (lambda: predict_to_file("new.npy", [], X), "estimator must have the method predict, got"),
        (lambda: predict_to_file("new.npy", CRF, X, method=np.eye(2)), "method must be one of"),
        (lambda: Checkpoints("new", trusted=SCALAR).check(), "trusted must be a list of names of types"),
        (lambda: read_conllu("absent", target=3), "target must be the name of a column or None, got 3"),
        (lambda: read_conllu("absent", edges=np.zeros(0)), "edges must be 'chain' or 'head'"),
        (lambda: AttributeVectorizer().fit_transform(SCALAR), "X must be a list of sequences of tokens"),
        (lambda: TokenTemplates(["w[0]"], [np.inf]).fit([["a"]]), "columns"),
        (lambda: SequencesToGraphs().fit(SCALAR).transform(SCALAR), "expected a list of"),
        (lambda: SequencesToGraphs().fit([PROBA]).get_feature_names_out(3), "expected a list of names in input_feat"),
        (lambda: EdgeFeatures().fit(X).get_edge_feature_names_out("a"), "expected a list of names in input_features"),
        (lambda: SequenceDisplay(PROBA, classes=3), "classes must have a name for each of the 3 columns"),
        (lambda: SequenceDisplay(PROBA, y_pred=RAGGED), "y_pred"),
        (lambda: SequenceDisplay(PROBA, y_pred=[0, 7]).plot(), "y_pred: the label 7 is not among the classes"),
        (lambda: SequenceDisplay.from_estimator(CRF, X, 1, known=[[]]), "known"),
        (lambda: TrainingCurveDisplay(RAGGED), "loss_curve must be an array of real numbers"),
        (lambda: ImagesToGraphs().to_images([RAGGED], [PROBA]), r"values\[0\] must be an array with a row for each"),
        (lambda: ImagesToGraphs().to_images([3], [PROBA]), r"values\[0\] has the shape \(\), but the graph"),
        (lambda: ImageDisplay(PROBA, pixels=RAGGED), "pixels must be an array of real numbers"),
        (lambda: TransitionsDisplay(np.eye(3), 3), r"matrix must have a row .* classes of shape \(\)"),
        (lambda: DISPLAYS["transitions"]().plot(values_format=3), "values_format must be a format of numbers"),
        (lambda: DISPLAYS["transitions"]().plot(cmap=[]), "cmap must be the name of a colormap"),
        (lambda: TransitionsDisplay.from_estimator(CRF, feature=np.eye(2)), "feature is array"),
        (lambda: ImageDisplay(PROBA, pixels=np.array([2.0, 1.0])), "pixels must be"),
        (lambda: DISPLAYS["sequence"]().plot(tokens=3), "expected a list of tokens, got 3"),
        (lambda: DISPLAYS["sequence"]().plot(cmap=[]), "cmap must be the name of a colormap"),
        (lambda: DISPLAYS["explanation"]().plot(top="3"), "top must be a positive integer, got '3'"),
        (lambda: DISPLAYS["graph"]().plot(layout={}), "layout must be an array of real numbers"),
        (lambda: DISPLAYS["graph"]().plot(radius="1"), "radius must be a positive number or None, got '1'"),
        (lambda: DISPLAYS["graph"]().plot(names=3), "expected a list of names, got 3"),
        (lambda: ConfusionMatrixDisplay.from_predictions([0, 1], [0, 1], ax=3), "ax must be one matplotlib Axes"),
        (
            lambda: ConfusionMatrixDisplay.from_predictions([0, 1], [0, 1], display_labels=["a"]),
            "display_labels has 1 names, but there are 2 classes",
        ),
    ],
)
def test_the_argument_is_named(call, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        call()

"""Valid values of arguments, by their names."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, MultiLabelCRFClassifier, plotting
from skstruct.metrics import calibration_curve, confusion_matrix
from skstruct.preprocessing import NodeTransformer, SuperpixelsToGraphs

RNG = np.random.default_rng(0)
FOLDER = Path(tempfile.mkdtemp())
CHAIN = [[0, 1], [1, 2], [2, 3]]
GRAPHS = [(RNG.normal(size=(4, 2)).tolist(), CHAIN, RNG.normal(size=(3, 1)).tolist()) for _ in range(6)]
LABELS = 2 * [["a", "b", "b", "a"], ["b", "a", "a", "b"], ["a", "a", "b", "b"]]
SENTENCES = [["the", "dog", "barks"], ["a", "cat"], ["the", "cat", "sleeps"]]
TAGS = [["D", "N", "V"], ["D", "N"], ["D", "N", "V"]]
TOKENS = [[{"w": word} for word in words] for words in SENTENCES]
TAGGED = [[(word, tag) for word, tag in zip(*each)] for each in zip(SENTENCES, TAGS)]
TABLES = [RNG.normal(size=(n, 2)).tolist() for n in (5, 4, 6)]
IMAGES = [RNG.random((6, 7, 3)).tolist(), RNG.random((5, 4, 3)).tolist()]
MASKS = [np.arange(42).reshape(6, 7) % 2, np.arange(20).reshape(5, 4) % 2]
SETS = RNG.integers(0, 2, (12, 3)).tolist()
TABLE = RNG.normal(size=(12, 2)).tolist()
MOLECULES = [nx.path_graph(3), nx.path_graph(2)]
for molecule in MOLECULES:
    nx.set_node_attributes(molecule, {i: [i, 0.5] for i in molecule}, "features")
    nx.set_edge_attributes(molecule, {edge: {"order": 1, "length": 0.5} for edge in molecule.edges})
GEOMETRIC = [
    SimpleNamespace(x=RNG.normal(size=(3, 2)), edge_index=np.array([[0, 1], [1, 2]]), edge_attr=np.ones((2, 1)))
    for _ in range(2)
]
NODES = pd.DataFrame({"graph": [0, 0, 0, 1, 1], "name": list("abcab"), "size": RNG.normal(size=5)})
EDGES = pd.DataFrame({"graph": [0, 0, 1], "source": list("aba"), "target": list("bcb"), "weight": [1.0, 2.0, 3.0]})

CRF = GraphCRFClassifier(max_iter=20, tol=0.1, missing_label="?").fit(GRAPHS, LABELS)
PROBA = CRF.predict_proba(GRAPHS)
MULTILABEL = MultiLabelCRFClassifier(max_iter=5, tol=0.1).fit(TABLE, SETS)
KNOWN = 3 * [["a", "?", "?", "b"], ["?"] * 4]
VALUES = {
    "X": GRAPHS,
    "y": LABELS,
    "y_true": LABELS,
    "y_pred": LABELS,
    "predictions": LABELS,
    "labels": ["a", "b"],
    "target_names": ["a", "b"],
    "classes": ["a", "b"],
    "proba": PROBA,
    "sample_weight": [1.0, 2.0, 0.5, 1.0, 1.0, 3.0],
    "known": KNOWN,
    "k": 2,
    "estimator": CRF,
    "model": CRF,
    "crf": CRF,
    "node_features": np.asarray(GRAPHS[0][0]),
    "edges": CHAIN,
    "node_ptr": [0, 4],
    "edge_ptr": [0, 3],
    "n_nodes": 4,
    "node_scores": RNG.normal(size=(4, 2)),
    "edge_scores": RNG.normal(size=(3, 2, 2)),
    "node_values": RNG.normal(size=(4, 2)),
    "edge_values": RNG.normal(size=(3, 2, 2)),
    "n_samples": 3,
    "random_state": 0,
    "graph": 1,
    "node": 2,
    "label": "a",
    "against": "b",
    "top": 3,
    "scheme": "bio",
    "folder": str(FOLDER / "data"),
    "graphs": GRAPHS,
    "values": np.arange(6.0),
    "ptr": [0, 2, 6],
    "indices": [0, 2],
    "columns": [0],
    "x": np.zeros((24, 2)),
    "f": np.zeros((18, 1)),
    "dataset": GraphDataset.from_graphs(GRAPHS),
    "sequences": TABLES,
    "images": IMAGES,
    "masks": MASKS,
    "transformer": StandardScaler(),
    "metric": confusion_matrix,
    "matrix": CRF.edge_coef_[0],
    "n_graphs": 3,
    "pixels": (2, 2),
    "curve": calibration_curve(LABELS, PROBA, classes=["a", "b"]),
    "error": 0.1,
    "loss_curve": [3.0, 2.0, 1.0],
    "report": CRF.inference_report(GRAPHS),
    "frame": plotting.ExplanationDisplay.from_estimator(CRF, GRAPHS, 1, 2).frame,
    "max_entries": 1e6,
}
GRAPH = {"edges": CHAIN, "edge_features": np.asarray(GRAPHS[0][2])}
CODES = {"known": [0, -1, -1, 1]}
CHUNKS = [np.eye(3)] * 2
CRF_OF_CHUNKS = GraphCRFClassifier(max_iter=5, tol=0.1).fit(
    GraphDataset.from_sequences(CHUNKS), [["B-a", "I-a", "O"]] * 2
)
ENTITIES = {
    "y": [["B-a", "I-a", "O"]] * 2,
    "predictions": [["B-a", "O", "O"]] * 2,
    "scheme": "BIO",
    "sample_weight": [1, 2],
}
ONE_GRAPH = {"classes": ["a", "b"], "proba": PROBA[0], "y_pred": LABELS[0], "y_true": LABELS[0]}
CRFSUITE = {"X": TOKENS, "y": TAGS, "X_dev": TOKENS, "y_dev": TAGS, "xseq": TOKENS[0]}
OWN = {  # values of a class or of one entry, where those of the other entries do not fit
    "functional.neg_log_likelihood": {"y": [0, 1, 1, 0]},
    "functional.decode": CODES,
    "functional.entropy": CODES,
    "functional.expectation": CODES,
    "functional.marginals": CODES,
    "functional.sample": CODES,
    "functional.top_k": CODES,
    "metrics.entity_scorer": {"metric": "f1"},
    "metrics.graph_scorer": {"metric": "accuracy"},
    "metrics.iou_score": {"average": "macro"},
    "metrics.entity_f1": {
        "estimator": CRF_OF_CHUNKS,
        "X": GraphDataset.from_sequences(CHUNKS),
        "y_true": ENTITIES["y"],
        "sample_weight": None,
    },
    "metrics.entity_f1_score": ENTITIES,
    "metrics.entity_precision_score": ENTITIES,
    "metrics.entity_recall_score": ENTITIES,
    "metrics.entity_report": ENTITIES,
    "metrics.find_entities": ENTITIES,
    "inspection.standard_errors": {"weights": None},
    "features.bio_forbidden_pairs": {"labels": ["B-a", "I-a", "O"], "scheme": "BIO"},
    "MultiLabelCRFClassifier": {"X": TABLE, "y": SETS, "sample_weight": None},
    "Graph()": GRAPH,
    "GraphDataset()": {**GRAPH, "node_ptr": [0, 4], "edge_ptr": [0, 3]},
    "GraphDataset.from_nodes": {"X": GRAPHS[0][0]},
    "GraphDataset.from_scipy": {"adjacencies": [sp.csr_array(np.eye(4, k=1))], "node_features": [np.zeros((4, 2))]},
    "GraphDataset.from_frame": {"nodes": NODES, "edges": EDGES, "graph": "graph", "node": "name"},
    "GraphDataset.from_networkx": {"graphs": MOLECULES, "node_attributes": "features", "edge_attributes": ["order"]},
    "GraphDataset.from_pyg": {"graphs": GEOMETRIC},
    "NodeView.take": {"indices": [0, 5]},
    "RaggedArray.take": {"indices": [0, 1]},
    "RaggedArray.from_list": {"arrays": LABELS},
    "RaggedArray.to_frame": {"columns": ["label"]},
    "compat.CRF": CRFSUITE,
    "datasets.load_letters": {"folds": [0]},
    "plotting.TransitionsDisplay.from_estimator": {"feature": "x0"},
    "plotting.ConfusionMatrixDisplay.from_predictions": {"display_labels": None},
    "plotting.ConfusionMatrixDisplay()": {"confusion_matrix": np.eye(2), "display_labels": ["a", "b"]},
    "plotting.ExplanationDisplay.from_estimator": {"known": None},
    "plotting.GraphDisplay": {"y": LABELS, **ONE_GRAPH, "names": list("abcd")},
    "plotting.GraphDisplay()": ONE_GRAPH,
    "plotting.ImageDisplay": {"y": LABELS, **ONE_GRAPH},
    "plotting.ImageDisplay()": ONE_GRAPH,
    "plotting.SequenceDisplay": {"y": LABELS, **ONE_GRAPH, "tokens": list("abcd")},
    "plotting.SequenceDisplay()": ONE_GRAPH,
    "plotting.TrainingCurveDisplay()": {"validation_scores": [0.5, 0.7, 0.6]},
    "preprocessing.AttributeVectorizer": {"X": TOKENS},
    "preprocessing.TokenTemplates": {"X": SENTENCES},
    "preprocessing.TokenTemplates()": {"templates": ["w[-1..1]"]},
    "preprocessing.EdgeTemplates": {"X": TAGGED},
    "preprocessing.EdgeTemplates()": {"templates": ["bias", "t[0]"], "columns": ["w", "t"]},
    "preprocessing.SequencesToGraphs": {"X": TABLES},
    "preprocessing.NearestNeighborsToGraphs": {"X": TABLES},
    "preprocessing.NearestNeighborsToGraphs()": {"n_neighbors": 2},
    "preprocessing.RadiusNeighborsToGraphs": {"X": TABLES},
    "preprocessing.DelaunayToGraphs": {"X": TABLES},
    "preprocessing.NetworkxToGraphs": {"X": MOLECULES},
    "preprocessing.NetworkxToGraphs()": {"edge_attributes": ["order", "length"]},
    "preprocessing.ImagesToGraphs": {"X": IMAGES, "values": [mask.ravel() for mask in MASKS]},
    "preprocessing.SuperpixelsToGraphs": {"X": IMAGES, "values": SuperpixelsToGraphs(5).node_labels(MASKS, IMAGES)},
    "preprocessing.SuperpixelsToGraphs()": {"n_segments": 5},
    "preprocessing.NodeClassifier": {"sample_weight": None},
    "distributed.DaskTransformer": {"y": None},
    "distributed.DaskTransformer()": {"transformer": NodeTransformer(StandardScaler())},
    "compat.from_crfsuite": {"path": str(FOLDER / "crfsuite")},
    "cli.main": {"argv": ["train", "--quiet", f"--model={FOLDER / 'main.skops'}", str(FOLDER / "train.txt")]},
    "io.load_model": {"file": str(FOLDER / "train.txt.skops")},
    "io.read_conll": {"file": str(FOLDER / "train.txt"), "columns": ["w", "t"], "target": "t"},
    "io.read_conllu": {
        "file": str(FOLDER / "trees.conllu"),
        "columns": ["form", "upos"],
        "target": "upos",
        "edges": "head",
    },
    "io.read_uai": {"model": str(FOLDER / "model.uai"), "evidence": {0: 1}},
    "io.read_uai_log_partition": {"file": str(FOLDER / "result.PR")},
    "io.read_uai_marginals": {"file": str(FOLDER / "result.MAR")},
    "io.predict_to_file": {"method": "predict_proba", "n_nodes": 5},
    "io.DatasetWriter()": {"folder": str(FOLDER / "written")},
    "io.Checkpoints()": {"folder": str(FOLDER / "checkpoints")},
    "io.write_uai": {"cardinalities": [2, 2, 2, 2], "log_constant": 0.0},
}

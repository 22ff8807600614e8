"""EdgeTemplates against plain Python, and transitions that depend on a token against enumeration."""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.pipeline import make_pipeline

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.inspection import transitions
from skstruct.preprocessing import EdgeTemplates, TokenTemplates

SENTENCES = [[("the", "DT"), ("dog", "NN"), ("barks", "VB")], [("dogs", "NN")], [("a", "DT"), ("dog", "NN")]]
COLUMNS = ["w", "pos"]
TREE = GraphDataset([["a"], ["b"], ["c"]], [(2, 0), (1, 2)])


def names_of(dataset, names):
    table = dataset.edge_features.toarray()
    assert set(np.unique(table)) <= {0, 1}
    return [{names[k] for k in row.nonzero()[0]} for row in table]


def test_features_are_those_of_the_second_token():
    transformer = EdgeTemplates(["bias", "pos[0]", "w[-1]|pos[0]"], COLUMNS)
    dataset = transformer.fit_transform(SENTENCES)
    expected = [
        {"bias", f"pos[0]={second[1]}", f"w[-1]|pos[0]={first[0]}|{second[1]}"}
        for sentence in SENTENCES
        for first, second in pairwise(sentence)
    ]
    assert names_of(dataset, transformer.get_edge_feature_names_out()) == expected
    assert [list(map(tuple, graph.node_features)) for graph in dataset] == SENTENCES
    (known,) = names_of(transformer.transform([[("x", "XX"), ("y", "VB")]]), transformer.get_edge_feature_names_out())
    assert known == {"bias", "pos[0]=VB"}


@pytest.mark.parametrize("tokens", [["the", "dog"], [{"w": "the"}, {"w": "dog"}], [("the",), ("dog",)]])
def test_kinds_of_tokens(tokens):
    transformer = EdgeTemplates(["w[0]"]).fit([tokens, [tokens[0]]])
    assert names_of(transformer.transform([tokens]), transformer.get_edge_feature_names_out()) == [{"w[0]=dog"}]
    described = TokenTemplates(["w[0]"]).fit_transform(transformer.transform([tokens]))
    assert described.node_features.shape == (2, 2)
    assert described.edge_features.shape == (1, 2)


def test_edges_of_a_dataset():
    transformer = EdgeTemplates(["w[0]"]).fit(TREE)
    dataset = transformer.transform(TREE)
    assert dataset.edges.tolist() == TREE.edges.tolist()
    assert names_of(dataset, transformer.get_edge_feature_names_out()) == [{"w[0]=a"}, {"w[0]=c"}]


def test_scores_of_transitions():
    y = [["B", "I", "O"], ["B"], ["B", "I"]]
    nodes, edges = TokenTemplates(["w[0]"], COLUMNS), EdgeTemplates(["bias", "pos[0]"], COLUMNS)
    model = make_pipeline(edges, nodes, GraphCRFClassifier(C=10)).fit(SENTENCES, y)
    crf, frame = model[-1], transitions(model)
    matrix = {name: frame.loc[name].to_numpy() for name in ["bias", "pos[0]=NN", "pos[0]=VB"]}
    weights = dict(zip(nodes.get_feature_names_out(), crf.coef_.T))
    node = [weights[f"w[0]={word}"] + crf.intercept_ for word, _ in SENTENCES[0]]
    total = {
        (a, b, c): node[0][a]
        + node[1][b]
        + node[2][c]
        + (matrix["bias"] + matrix["pos[0]=NN"])[a, b]
        + (matrix["bias"] + matrix["pos[0]=VB"])[b, c]
        for a, b, c in product(range(3), repeat=3)
    }
    expected = logsumexp(list(total.values()))
    np.testing.assert_allclose(crf.log_partition(model[:-1].transform(SENTENCES))[0], expected, rtol=1e-12)
    assert model.predict(SENTENCES).tolist() == y


def test_refusals():
    with pytest.raises(ValueError, match="X has edge features already"):
        EdgeTemplates(["w[0]"]).fit(TREE.with_edge_features([[1.0], [2.0]]))
    with pytest.raises(ValueError, match="unknown column 'x'"):
        EdgeTemplates(["x[0]"]).fit([["a", "b"]])
    with pytest.raises(TypeError, match="sequence 0, token 1"):
        EdgeTemplates(["w[0]"]).fit([["a", 2]])

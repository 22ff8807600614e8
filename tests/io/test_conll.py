"""Sentences from column files and from CoNLL-U files."""

import gzip
import io

import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skstruct import GraphCRFClassifier
from skstruct.io import read_conll, read_conllu
from skstruct.preprocessing import EdgeTransformer, NodeTransformer, TokenTemplates

conllu = pytest.importorskip("conllu")

COLUMNS = ["word", "pos", "chunk"]
PLAIN = "-DOCSTART- -X- O\n\nThe DT B-NP\r\n#  #\tI-NP \n-DOCSTART-\nx\u2028y\xa0z NN O\n\n \n\n"
TREES = """\
# sent_id = a
# text = Don't go there
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\tMood=Imp|VerbForm=Fin\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tgone\tgo\tVERB\t_\t_\t_\t_\t3:conj\t_
4\tthere\tthere\tADV\tRB\t_\t3\tadvmod\t_\tSpaceAfter=No

# sent_id = b
1\t_\t_\t_\t_\t_\t0\troot\t_\t_
"""


def plain(text, columns=COLUMNS, target="chunk"):
    return read_conll(io.StringIO(text), columns, target=target)


def trees(text=TREES, **options):
    return read_conllu(io.StringIO(text), **options)


def test_columns():
    X, y = plain(PLAIN)
    assert [graph.node_features for graph in X] == [
        [{"word": "The", "pos": "DT"}, {"word": "#", "pos": "#"}],
        [{"word": "x\u2028y\xa0z", "pos": "NN"}],
    ]
    assert [graph.edges.tolist() for graph in X] == [[[0, 1]], []]
    assert y.tolist() == [["B-NP", "I-NP"], ["O"]]
    X, y = plain(PLAIN, target=None)
    assert X[0].node_features[0] == {"word": "The", "pos": "DT", "chunk": "B-NP"}
    assert y is None


@pytest.mark.parametrize(
    ("text", "columns", "target", "message"),
    [
        ("a b c\n\na b\n", COLUMNS, "chunk", r"text, line 3: expected 3 columns \(word, pos, chunk\), got 2: a b"),
        ("a b c d\n", COLUMNS, "chunk", "line 1: expected 3 columns .* got 4"),
        ("\n\n", COLUMNS, "chunk", "text has no sentences"),
        ("a b", ["word", "word"], "word", "columns must be a list of different names, got"),
        ("a b", "ab", "a", "columns must be a list of different names, got 'ab'"),
        ("a b", ["a", 3], "a", "columns must be a list of different names"),
        ("a b", None, None, "columns must be a list of different names, got None"),
        ("a b", ["a", "b"], "c", r"target must be one of the columns \['a', 'b'\] or None, got 'c'"),
    ],
)
def test_bad_columns(text, columns, target, message):
    with pytest.raises(ValueError, match=message):
        plain(text, columns, target)


def test_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("Zoë NNP B-NP\n", encoding="utf-8")
    assert read_conll(path, COLUMNS, target="chunk")[0][0].node_features[0]["word"] == "Zoë"
    path.write_bytes("Zoë NNP B-NP\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"words\.txt is not a text file in UTF-8: .*pass the open file"):
        read_conll(path, COLUMNS, target="chunk")
    with pytest.raises(TypeError, match="must be open as a text file, but its content is bytes"):
        read_conllu(io.BytesIO(b""))
    with pytest.raises(TypeError, match="file must be a path or an open text file, got 3"):
        read_conllu(3)


def test_files_of_windows(tmp_path):
    """A byte order mark is no part of the first word, and lines may end with a carriage return."""
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfRex NNP B-NP\r\n\r\nbarks VBZ B-VP\r\n")
    X, y = read_conll(path, COLUMNS, target="chunk")
    assert [X[0].node_features[0]["word"], *y.tolist()] == ["Rex", ["B-NP"], ["B-VP"]]
    path.write_bytes(b"\xef\xbb\xbf" + TREES.replace("\n", "\r\n").encode())
    expected = trees(edges="head", columns=["form", "misc"])
    for source in (path, io.StringIO("\ufeff" + TREES.replace("\n", "\r\n"))):
        found = read_conllu(source, edges="head", columns=["form", "misc"])
        assert found[0].node_features == expected[0].node_features
        assert found[1].tolist() == expected[1].tolist()


def test_chains_of_a_treebank():
    X, y = trees(columns=["form", "lemma", "feats", "misc"])
    assert [node["form"] for node in X.node_features] == ["Do", "n't", "go", "there", "_"]  # "_" can be a word
    assert X[0].node_features[0] == {"form": "Do", "lemma": "do", "feats": "Mood=Imp|VerbForm=Fin"}
    assert X[0].node_features[3] == {"form": "there", "lemma": "there", "misc": "SpaceAfter=No"}
    assert X[0].edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert X.edge_features is None
    assert y.tolist() == [["AUX", "PART", "VERB", "ADV"], [None]]
    X, y = trees(columns=["form", "upos"], target="upos")
    assert X[0].node_features[0] == {"form": "Do", "upos": "AUX"}
    assert y[0][0] == "AUX"
    assert trees(target=None)[1] is None


def test_trees_of_a_treebank():
    X, y = trees(edges="head")
    assert [graph.edges.tolist() for graph in X] == [[[2, 0], [2, 1], [2, 3]], []]
    assert X[0].edge_features == [
        {"deprel": "aux", "direction": "left", "distance": 2},
        {"deprel": "advmod", "direction": "left", "distance": 1},
        {"deprel": "advmod", "direction": "right", "distance": 1},
    ]
    assert X[0].node_features[0] == {"form": "Do"}
    assert y[0].tolist() == ["AUX", "PART", "VERB", "ADV"]


def test_named_columns_of_the_file():
    text = "# global.columns = ID FORM HEAD NER\n1\tRex\t0\tB-PER\n2\tbarks\t1\tO\n"
    X, y = trees(text, target="ner", edges="head")
    assert X[0].edge_features == [{"direction": "right", "distance": 1}]
    assert y.tolist() == [["B-PER", "O"]]
    with pytest.raises(ValueError, match=r"sentence 0, token 0 has no column 'upos'; its columns are \['id', 'form'"):
        trees(text)


ROW = "1\ta\ta\tX\tX\t_\t{}\tdep\t_\t_\n2\tb\tb\tX\tX\t_\t0\troot\t_\t_\n"
HEADS = [2, 4, 2, 3, 0]
CYCLE = "".join(f"{t}\ta\ta\tX\tX\t_\t{head}\tdep\t_\t_\n" for t, head in enumerate(HEADS, start=1))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (TREES + "\n" + ROW.format("x"), {}, "text, sentence 2: Failed parsing field 'head'.*'x'"),
        (ROW.format("_"), {"edges": "head"}, "text, sentence 0, token 0: the head must be 0 or the number of another"),
        (ROW.format("1"), {"edges": "head"}, "token 0: the head must be 0 or the number of another token, got 1"),
        (ROW.format("9"), {"edges": "head"}, "got 9"),
        (CYCLE, {"edges": "head"}, "text, sentence 0, token 1: the heads are a cycle of the tokens 1, 3, 2"),
        (ROW.format("2").replace("2\tb", "1\tb"), {"edges": "head"}, "token 1: an earlier token has the same number"),
        ("just words\n", {}, "sentence 0: Invalid line format"),
        ("# nothing\n\n", {}, "text has no sentences"),
        (TREES, {"columns": ["word"]}, "token 0 has no column 'word'"),
        (TREES, {"columns": "form"}, "columns must be a list of different names, got 'form'"),
        (TREES, {"edges": "tree"}, "edges must be 'chain' or 'head', got 'tree'"),
    ],
)
def test_bad_treebanks(text, options, message):
    with pytest.raises(ValueError, match=message):
        trees(text, **options)


def test_without_the_library(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"no {name}", name=name)

    monkeypatch.setattr("skstruct.data.optional.import_module", missing)
    with pytest.raises(ImportError, match=r'read_conllu needs conllu: pip install "skstruct\[conllu\]"'):
        trees()


def tree_edges(tree):
    """Edges of a `TokenTree`, from the library's own walk over the tree, as numbers of tokens."""
    found = []
    for child in tree.children:
        found += [(tree.token["id"], child.token["id"]), *tree_edges(child)]
    return found


def test_universal_dependencies(shared_data):
    """Trees are those of the library; a tagger learns from them."""
    with gzip.open(shared_data("en_ewt-ud-dev.conllu.gz"), "rt", encoding="utf-8") as file:
        text = "\n\n".join(file.read().split("\n\n")[:500])
    X, y = trees(text, edges="head")
    sentences = conllu.parse(text)
    assert len(X) == len(sentences) == 500
    for graph, tags, sentence in zip(X, y, sentences):
        words = [token for token in sentence if isinstance(token["id"], int)]
        number = {token["id"]: i for i, token in enumerate(words)}
        expected = {(number[a], number[b]) for a, b in tree_edges(sentence.to_tree())}
        assert set(map(tuple, graph.edges.tolist())) == expected
        assert [node["form"] for node in graph.node_features] == [token["form"] for token in words]
        assert tags.tolist() == [token["upos"] for token in words]
    nodes = TokenTemplates(["form.lower[0]", "form.suffix(2)[0]"], columns=["form"])
    edges = EdgeTransformer(make_pipeline(DictVectorizer(), MaxAbsScaler()))
    tagger = make_pipeline(nodes, edges, GraphCRFClassifier(max_iter=15, tol=1e-2))
    train, test = slice(0, 300), slice(300, 400)
    assert tagger.fit(X[train], y[train]).score(X[test], y[test]) > 0.78


def test_chunking(shared_data):
    with gzip.open(shared_data("conll2000.test.txt.gz"), "rt", encoding="utf-8") as file:
        X, y = read_conll(file, COLUMNS, target="chunk")
    assert (len(X), X.n_nodes) == (2012, 47377)
    assert X[0].node_features[0] == {"word": "Rockwell", "pos": "NNP"}
    assert NodeTransformer(DictVectorizer()).fit_transform(X[:5]).n_nodes == len(y[:5].values)

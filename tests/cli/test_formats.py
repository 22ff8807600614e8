"""Formats of data files: what is read, what is written, and messages that name the line."""

import gzip
import io
import json

import pytest

from skstruct.cli._columns import Columns
from skstruct.cli._conllu import CoNLLU
from skstruct.cli._crfsuite import CRFsuite
from skstruct.cli._formats import Prediction, Record
from skstruct.cli._json_lines import JSONLines

COLUMNS = "\ufefffull\u3000stop NN\tB\nx\u00a0y  VB O\r\n\n-DOCSTART- -X-\n  \t\n#\tNN\tO"
TREEBANK = """\
# text = I don't
1\tI\tI\tPRON\t_\t_\t2\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdo\tdo\tAUX\t_\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\t_\t_\t2\tadvmod\t_\tX=1
3.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_

# only a comment

1\tYes\tyes\tINTJ\t_\t_\t0\troot\t_\t_
"""


@pytest.fixture
def read(tmp_path):
    def read(form, text, name="data.txt"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return list(form.read(str(path)))

    return read


def test_columns(read):
    first, second = read(Columns(), COLUMNS)
    assert first.x == [("full\u3000stop", "NN"), ("x\u00a0y", "VB")]
    assert (first.y, second.x, second.y) == (["B", "O"], [("#", "NN")], ["O"])
    assert first.place.endswith("data.txt, line 1")
    assert second.place.endswith("data.txt, line 6")
    assert Columns().learn([first]).settings() == {"columns": ["c0", "c1"]}
    lines = Columns(["w", "pos"]).written(first, [Prediction(["P", "Q"], [0.5, 1])])
    assert list(lines) == ["full\u3000stop NN\tB\tP\t0.500000", "x\u00a0y  VB O\tQ\t1.000000", ""]


def test_columns_without_labels(read):
    (record,) = read(Columns(["w", "pos"]), "a X\nb Y\n")
    assert record.y is None
    assert record.x == [("a", "X"), ("b", "Y")]


def test_several_predictions():
    columns = Columns(["w"])
    record = Record("", [], None, ["a", "b"])
    lines = columns.written(record, [Prediction(["P", "Q"], None, 0.75), Prediction(["Q", "Q"], None, 0.25)])
    assert list(lines) == ["# 0 0.750000", "a\tP", "b\tQ", "", "# 1 0.250000", "a\tQ", "b\tQ", ""]


@pytest.mark.parametrize(
    ("columns", "text", "message"),
    [
        (None, "a X\n\nb X\nc\n", "data.txt, line 4: got 1 columns, the first line has 2"),
        (["w", "pos"], "a\n", "data.txt, line 1: got 1 columns, expected w, pos, and a label"),
        (["w", "pos"], "a X B\nb X\n", "data.txt, line 2: got 2 columns, the first line has 3"),
        (None, "a\n", "line 1: got one column"),
    ],
)
def test_wrong_columns(read, columns, text, message):
    with pytest.raises(ValueError, match=message):
        read(Columns(columns), text)


def test_crfsuite(read):
    form = CRFsuite()
    first, second = read(form, "D\tw=the\tlen:3\tlen:.5e1\t\nN\tw=a\\:b\\\\\tx:\n\nD\tw=a\n")
    assert first.x == [{"w=the": 1.0, "len": 8.0}, {"w=a:b\\": 1.0, "x": 1.0}]
    assert (first.y, second.y) == (["D", "N"], ["D"])
    predictions = [Prediction(["N", "D"], [{"D": 0.25, "N": 0.75}, {"D": 1.0, "N": 0.0}])]
    assert list(form.written(first, predictions)) == [
        "N\tD:0.250000\tN:0.750000",
        "D\tD:1.000000\tN:0.000000",
        "",
    ]
    for odd in ("x:1.2.3", "x:y", "x:1:2", "x\\"):
        with pytest.raises(ValueError, match=r"data.txt, line 2: cannot read the attribute"):
            read(form, f"D\ta\nN\tb\t{odd}\n")


def test_json_lines(read):
    form = JSONLines()
    text = '{"node_features": [["a", "b"], []], "edges": [[0, 1]], "labels": ["p", null], "id": 3}\n\n'
    (record,) = read(form, text)
    assert record.x.node_features == [{"a": 1.0, "b": 1.0}, {}]
    assert record.y == ["p", None]
    (line,) = form.written(record, [Prediction(["p", "q"], [0.5, 0.5])])
    assert json.loads(line) == {**json.loads(text), "predictions": ["p", "q"], "probabilities": [0.5, 0.5]}
    (line,) = form.written(record, [Prediction(["p", "q"], None, 1.0)])
    assert json.loads(line)["top"] == [{"predictions": ["p", "q"], "probability": 1.0}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1, 2]", "expected a JSON object with a list node_features"),
        ("[" * 100_000, "recursion"),
        ('{"node_features": [[1]', "Expecting"),
        ('{"node_features": [[1], [1, 2]]}', "rows of equal length"),
        ('{"node_features": [[1]], "labels": ["a", "b"]}', "labels must be a list of 1 labels"),
        ('{"node_features": [[1]], "edges": [[0]]}', "edges"),
        ('{"node_features": [[1]], "edges": [[0, 1]]}', "edge 0 is .0, 1. but the graph has 1 nodes"),
        ('{"node_features": [[1], [2]], "edges": [[0, 1]], "edge_features": [[1], [2]]}', "2 rows but"),
    ],
)
def test_wrong_json(read, line, message):
    with pytest.raises(ValueError, match=f"data.txt, line 2: .*{message}"):
        JSONLines().stack(read(JSONLines(), f'{{"node_features": [[1]]}}\n{line}\n'))


def test_conllu(read):
    pytest.importorskip("conllu")
    form = CoNLLU()
    first, second = read(form, TREEBANK)
    assert [node["form"] for node in first.x.node_features] == ["I", "do", "n't"]
    assert (first.y, second.y) == (["PRON", "AUX", "PART"], ["INTJ"])
    predictions = [Prediction(["A", "B", "C"], [1.0, 0.5, 0.25])]
    expected = TREEBANK.partition("\n\n")[0].replace("PRON", "A").replace("AUX", "B").replace("PART", "C")
    expected = expected.replace("nsubj\t_\t_", "nsubj\t_\tProbability=1.000000")
    expected = expected.replace("root\t_\t_", "root\t_\tProbability=0.500000")
    expected = expected.replace("X=1", "X=1|Probability=0.250000")
    assert "\n".join(form.written(first, predictions)) == expected + "\n"
    lines = list(form.written(second, [Prediction(["A"], None, 0.5), Prediction(["B"], None, 0.25)]))
    assert lines[:2] == ["# rank = 0", "# probability = 0.500000"]
    assert lines[2].split("\t")[3] == "A"


def test_trees(read):
    pytest.importorskip("conllu")
    first, _ = read(CoNLLU(["lemma", "xpos"], "deprel", "head"), TREEBANK)
    assert first.x.edges.tolist() == [[1, 0], [1, 2]]
    assert first.x.node_features[0] == {"lemma": "I", "xpos": "_"}
    assert first.y == ["nsubj", "root", "advmod"]


def test_wrong_treebanks(read):
    pytest.importorskip("conllu")
    with pytest.raises(ValueError, match="--label must be one of form,"):
        read(CoNLLU(label="word"), TREEBANK)
    with pytest.raises(ValueError, match="CoNLL-U Plus"):
        read(CoNLLU(), "# global.columns = ID FORM\n1\tx\n")
    with pytest.raises(ValueError, match=r"data.txt, sentence 1"):
        read(CoNLLU(), "1\tx\t_\tX\t_\t_\t0\troot\t_\t_\n\nx\ty\n")


def test_compressed(tmp_path):
    path = tmp_path / "data.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("ä B\n")
    (record,) = Columns().read(str(path))
    assert (record.x, record.y) == ([("ä",)], ["B"])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="cannot be decompressed"):
        list(Columns().read(str(path)))
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"data\.gz cannot be decompressed: Not a gzipped file"):
        list(Columns().read(str(path)))


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("ä B\n".encode()), encoding="ascii"))
    (record,) = Columns().read("-")
    assert (record.place, record.x) == ("standard input, line 1", [("ä",)])


def test_other_encodings(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes("ä B\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"data.txt is not a text file in UTF-8"):
        list(Columns().read(str(path)))

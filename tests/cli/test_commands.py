"""The commands: their files, outputs, messages and exit codes."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skstruct import GraphCRFClassifier
from skstruct.cli import _files, main
from skstruct.features import LinearFeatures
from skstruct.io import load_model
from skstruct.preprocessing import TokenTemplates

skops = pytest.importorskip("skops.io")

TRAIN = "the DT B\nold JJ I\ndog NN I\nbarks VB O\n\na DT B\ncat NN I\nsleeps VB O\n\ndogs NN B\nbark VB O\n"
TEST = "a DT\ndog NN\nsleeps VB\n\ncats NN\n"
TEMPLATE = "U0:%x[0,0]\nU1:%x[0,1]\nU2:%x[-1,1]/%x[0,1]\nB\n"
GRAPHS = [
    {"node_features": [[1.0], [0.8], [0.1]], "edges": [[0, 1], [1, 2], [2, 0]], "labels": [1, 1, 1], "id": "x"},
    {"node_features": [[-1.0], [-0.7], [-0.2]], "edges": [[0, 1], [1, 2]], "labels": [2, None, 2], "id": "y"},
]


@pytest.fixture
def files(write):
    write("train.txt", TRAIN)
    write("test.txt", TEST)
    write("template", TEMPLATE)
    write("graphs.jsonl", "".join(json.dumps(graph) + "\n" for graph in GRAPHS))


def sequences(text):
    blocks = [[line.split() for line in block.splitlines()] for block in text.split("\n\n")]
    return [[tuple(row[:2]) for row in rows] for rows in blocks], [[row[-1] for row in rows] for rows in blocks]


def test_the_model_is_that_of_python(run, files):
    code, out, err = run("train -t template -m m.skops -c 2 train.txt")
    assert (code, out) == (0, "")
    assert "3 graphs with 9 nodes, 3 labels" in err
    assert "iteration" in err
    X, y = sequences(TRAIN)
    templates = ["c0[0]", "c1[0]", "c1[-1]|c1[0]", "__BOS__"]
    features = LinearFeatures("observed", fit_intercept=False, node_weights="observed")
    model = make_pipeline(TokenTemplates(templates, columns=["c0", "c1"]), GraphCRFClassifier(features, C=2))
    model.fit(X, y)
    loaded = load_model("m.skops")
    np.testing.assert_array_equal(loaded[-1].coef_.toarray(), model[-1].coef_.toarray())
    expected = model.predict(sequences(TEST)[0]).tolist()
    code, out, _ = run("predict -m m.skops test.txt")
    assert code == 0
    assert [[row.split("\t")[1] for row in block.splitlines()] for block in out.split("\n\n")[:-1]] == expected
    assert run("predict -m m.skops test.txt train.txt -o out.txt") == (0, "", "")
    assert Path("out.txt").read_text().startswith(out)


def test_transitions_that_depend_on_tokens(run, files, write):
    write("bigrams", TEMPLATE + "B1:%x[0,1]\n")
    assert run("train -q -t bigrams -m m.skops train.txt")[0] == 0
    model = load_model("m.skops")
    names = model[0].get_edge_feature_names_out().tolist()
    assert sorted(names) == ["bias", "c1[0]=DT", "c1[0]=JJ", "c1[0]=NN", "c1[0]=VB"]
    assert model[-1].edge_coef_.shape == (5, 3, 3)
    assert not model[-1].edge_coef_[names.index("c1[0]=DT")].any()  # never the second token of a pair
    assert run("predict -m m.skops test.txt")[0] == 0
    table = run("inspect -m m.skops -n 0")[1].split(" transitions\n")[1].split("\n\n")[0].strip()
    assert {line.split()[0] for line in table.splitlines()} == {"feature", *names} - {"c1[0]=DT"}


def test_probabilities(run, files):
    run("train -q -m m.skops train.txt")
    model = load_model("m.skops")
    X = sequences(TEST)[0]
    expected = np.concatenate(model.predict_proba(X).tolist())
    rows = [line.split("\t") for line in run("predict -m m.skops --proba-all test.txt")[1].splitlines() if line]
    values = [[float(cell.partition(":")[2]) for cell in row[2:]] for row in rows]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6)
    assert [cell.partition(":")[0] for cell in rows[0][2:]] == ["B", "I", "O"]
    rows = [line.split("\t") for line in run("predict -m m.skops --proba test.txt")[1].splitlines() if line]
    classes = model.classes_.tolist()
    for row, p in zip(rows, expected):
        assert float(row[2]) == pytest.approx(p[classes.index(row[1])], abs=1e-6)
    out = run("predict -m m.skops --top 100 test.txt")[1]
    ranks = [line.split() for line in out.splitlines() if line.startswith("#")]
    assert [int(rank) for _, rank, _ in ranks] == [*range(27), *range(3)]
    assert sum(float(p) for *_, p in ranks) == pytest.approx(2, abs=1e-4)


def test_evaluate(run, files, write):
    run("train -q -m m.skops train.txt")
    write("odd.txt", TRAIN.replace("old JJ I", "old JJ O"))
    out = run("evaluate -m m.skops odd.txt")[1]
    figures = dict(line.split()[-2:] for line in out.splitlines()[:4])
    assert figures == {"graphs": "3", "nodes": "9", "accuracy": "0.8889", "match": "0.6667"}
    assert "0.8889         9" in out  # the table of scikit-learn
    assert "entities" not in out
    write("chunks.txt", TRAIN.replace(" B", " B-x").replace(" I", " I-x"))
    run("train -q -m m.skops chunks.txt")
    entities = run("evaluate -m m.skops chunks.txt")[1].partition("entities\n")[2]
    assert entities.split()[4:9] == ["x", "1.0000", "1.0000", "1.0000", "3"]


def test_graphs(run, files, write):
    assert run("train -q -m g.skops graphs.jsonl")[0] == 0
    code, out, _ = run("predict -m g.skops --proba-all graphs.jsonl")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["predictions"] for answer in answers] == [[1, 1, 1], [2, 2, 2]]
    assert [{k: a[k] for k in GRAPHS[0]} for a in answers] == GRAPHS
    assert sum(answers[0]["probabilities"][0].values()) == pytest.approx(1)
    out = run("evaluate -m g.skops graphs.jsonl")[1]
    assert "nodes        5" in out  # without the unknown label
    assert "accuracy     1.0000" in out
    run("predict -m g.skops --known --proba graphs.jsonl -o known.jsonl")
    known = [json.loads(line) for line in Path("known.jsonl").read_text().splitlines()]
    model, X = load_model("g.skops"), [(g["node_features"], g["edges"]) for g in GRAPHS]
    expected = model[-1].predict_proba(X, known=[g["labels"] for g in GRAPHS])[1][1, 1]
    assert known[0]["probabilities"] == [1.0] * 3
    assert known[1]["probabilities"] == pytest.approx([1.0, expected, 1.0])
    assert expected > answers[1]["probabilities"][1]["2"]
    write("unknown.jsonl", '{"node_features": [[1]], "labels": [null]}')
    code, _, err = run("evaluate -m g.skops unknown.jsonl")
    assert (code, err) == (1, "skstruct: error: unknown.jsonl: all labels are unknown\n")


def test_features_of_nodes_and_edges_as_objects(run, write):
    graph = {
        "node_features": [{"w": "x", "n": 2}, {"w": "y"}],
        "edges": [[0, 1]],
        "edge_features": [{"kind": "near"}],
        "labels": ["a", "b"],
    }
    write("data.json", json.dumps(graph) + '\n{"node_features": [{"w": "x"}], "labels": ["a"]}\n')
    assert run("train -q -m m.skops --format jsonl data.json")[0] == 0
    out = run("inspect -m m.skops")[1]
    assert "kind=near" in out
    assert "w=y" in out


def test_inspect(run, files):
    run("train -q -m m.skops -t template --c1 0.01 --c2 0.1 train.txt")
    code, out, _ = run("inspect -m m.skops -n 3")
    assert code == 0
    assert "columns       c0 c1" in out
    assert "objective     likelihood, C=4.7619, l1_ratio=0.047619" in out
    transitions, weights = out.split(" transitions\n")[1].split(" weights\n")
    assert transitions.split()[:3] == ["source", "target", "weight"]
    assert len(weights.strip().splitlines()) == 4
    model = load_model("m.skops")
    largest = np.abs(model[-1].coef_.toarray()).max()
    assert abs(float(weights.split()[5])) == pytest.approx(largest, abs=1e-4)
    table = run("inspect -m m.skops -n 0 --label B")[1].split(" weights\n")[1]
    assert {line.split()[1] for line in table.strip().splitlines()[1:]} == {"B"}
    assert len(table.strip().splitlines()) - 1 == np.count_nonzero(model[-1].coef_.toarray()[0])


def test_a_model_of_python(run, files):
    X, y = sequences(TRAIN)
    model = make_pipeline(TokenTemplates(["w[0]", "pos[0]"], columns=["w", "pos"]), GraphCRFClassifier())
    skops.dump(model.fit(X, y), "python.skops")
    assert run("predict -m python.skops --columns w,pos test.txt")[0] == 0
    assert "unknown; saved by Python code" in run("inspect -m python.skops")[1]
    skops.dump(GraphCRFClassifier().fit([[0.0], [1.0]], [1, 2]), "table.skops")
    assert run("inspect -m table.skops")[0] == 0
    assert run("predict -m table.skops --format jsonl graphs.jsonl")[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --seed 1 --holdout 0.34",
        "--objective perceptron --optimizer averaged_perceptron -i 5",
        "--inference chain --edge-weights full --node-weights all -f 2 -e 1e-3 -j 2",
    ],
)
def test_options(run, files, options):
    code, _, err = run(f"train -m m.skops train.txt {options}")
    assert code == 0, err
    assert run("predict -m m.skops --decoding marginal test.txt")[0] == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train -m m.skops absent.txt", "absent.txt"),
        ("train -m absent/m.skops train.txt", "absent/m.skops cannot be written"),
        ("train -m . train.txt", ". cannot be written"),
        ("train -m train.txt train.txt", "train.txt cannot be written, because it is also read"),
        ("train -m template train.txt -t template", "template cannot be written, because it is also read"),
        ("predict -m ok.skops test.txt -o ./test.txt", "test.txt cannot be written, because it is also read"),
        ("predict -m ok.skops test.txt -o ok.skops", "ok.skops cannot be written, because it is also read"),
        ("train -m m.skops test.txt --columns w,pos", "test.txt, line 1: there are no labels"),
        ("train -m m.skops empty.txt", "empty.txt contains no data"),
        ("train -m m.skops train.txt -c 1 --c2 1", "--cost and --c1, --c2"),
        ("train -m m.skops train.txt --c1 0 --c2 0", "not both 0"),
        ("train -m m.skops train.txt -c -1", "C must be"),
        ("train -m m.skops graphs.jsonl -t template", "--template is for formats with columns"),
        ("train -m m.skops graphs.jsonl --columns w", "--columns is not an option of the format 'jsonl'"),
        ("train -m m.skops train.txt --label x", "--label is not an option of the format 'columns'"),
        ("train -m m.skops train.txt -t train.txt", "template"),
        ("train -m m.skops train.txt --optimizer bcfw", "BCFW needs"),
        ("predict -m absent.skops test.txt", "absent.skops"),
        ("predict -m train.txt test.txt", "train.txt cannot be loaded"),
        ("predict -m ok.skops graphs.jsonl", "graphs.jsonl, line 1"),
        ("predict -m ok.skops -n 0 test.txt", "k must be"),
        ("evaluate -m ok.skops test.txt", "test.txt, line 1: there are no labels"),
        ("evaluate -m ok.skops empty.txt", "contains no data"),
        ("inspect -m ok.skops -n -1", "--top must be at least 0"),
    ],
)
def test_errors(run, files, write, command, message):
    write("empty.txt", "\n\n")
    if "ok.skops" in command:
        assert run("train -q -m ok.skops train.txt")[0] == 0
    code, out, err = run(command)
    assert (code, out) == (1, "")
    assert err.startswith("skstruct: error: ")
    assert message in err
    assert not Path("m.skops").exists()


@pytest.mark.parametrize("command", ["", "unknown", "train", "train -m m.skops", "predict --proba --top 2", "train -x"])
def test_wrong_usage(run, command):
    code, _, err = run(command)
    assert code == 2
    assert err.startswith("usage: skstruct")


@pytest.mark.parametrize("command", ["--help", "--version", *(f"{c} --help" for c in ("train", "predict", "inspect"))])
def test_help(run, command):
    code, out, _ = run(command)
    assert code == 0
    assert "skstruct" in out


def test_batches(run, files, write, monkeypatch):
    run("train -q -m g.skops graphs.jsonl")
    whole = run("predict -m g.skops graphs.jsonl graphs.jsonl")
    monkeypatch.setattr("skstruct.cli._predict.BATCH", 1)
    assert run("predict -m g.skops graphs.jsonl graphs.jsonl") == whole
    tree, triangle = (json.dumps(graph) + "\n" for graph in GRAPHS[::-1])
    write("trees.jsonl", tree)
    write("mixed.jsonl", tree + triangle)
    run("train -q -m tree.skops --inference tree trees.jsonl")
    code, out, err = run("predict -m tree.skops mixed.jsonl")
    assert (code, len(out.splitlines())) == (1, 1)
    assert "graph 1: inference='tree' supports graphs without cycles" in err


def test_empty_input(run, files, write):
    run("train -q -m m.skops train.txt")
    write("empty.txt", "\n")
    assert run("predict -m m.skops empty.txt") == (0, "", "")


def test_warnings(run, files):
    code, _, err = run("train -q -m m.skops -i 2 train.txt")
    assert code == 0
    assert err.startswith("skstruct: warning: ")
    assert Path("m.skops").exists()


def test_interrupted_training_keeps_the_model(run, files, monkeypatch):
    class Keyboard:
        """Standard error stream that is interrupted at the third line of the table."""

        rows = 0
        text = ""

        def write(self, text):
            self.text += text
            self.rows += text.strip().endswith(("e-01", "e-02", "e-03"))
            if self.rows == 3:
                self.rows += 1
                raise KeyboardInterrupt

        def flush(self):
            pass

    stream = Keyboard()
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", stream)
        assert main(["train", "-m", "m.skops", "train.txt"]) == 130
    assert "m.skops is the model after" in stream.text
    assert stream.text.endswith("skstruct: interrupted\n")
    assert run("predict -m m.skops test.txt")[0] == 0


def test_resumed_training(run, files):
    run("train -m whole.skops -q -c 20 -t template train.txt")
    code, _, err = run("train -m m.skops -q -c 20 -t template -i 3 train.txt")
    assert (code, err[:17]) == (0, "skstruct: warning")
    assert run("train -m m.skops -q --resume train.txt") == (0, "", "")
    whole, resumed = (load_model(name)[-1] for name in ("whole.skops", "m.skops"))
    assert resumed.n_iter_ == whole.n_iter_
    np.testing.assert_array_equal(resumed.coef_.toarray(), whole.coef_.toarray())
    assert run("predict -m whole.skops train.txt") == run("predict -m m.skops train.txt")
    code, _, err = run("train -m m.skops --resume --min-count 2 train.txt")
    assert (code, err) == (1, "skstruct: error: --min-count cannot change when a training is resumed\n")
    assert run("train -m absent.skops --resume train.txt")[0] == 1


def test_interrupted_reading(run, files, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skstruct.cli._columns.numbered_lines", interrupt)
    assert run("train -m m.skops train.txt") == (130, "", "skstruct: interrupted\n")
    assert not Path("m.skops").exists()


def test_a_failed_save_keeps_the_old_file(files, tmp_path, monkeypatch):
    path = tmp_path / "m.skops"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(skops, "dump", fail)
    with pytest.raises(OSError, match="disk full"):
        _files.save(GraphCRFClassifier(), str(path), {})
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.glob("m.*")} == {"m.skops"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[1]", "must contain a JSON object"),
        ("{", "Expecting"),
        ("[" * 60_000, "recursion"),
        ('"' + "a" * 2**20 + '"', "is too long"),
        ('{"format": "none", "settings": {}}', "no valid format"),
        ('{"format": ["columns"], "settings": {}}', "no valid format"),
        ('{"format": "columns", "settings": {"path": 1}}', "no valid format"),
        ('{"format": "columns", "settings": {"columns": 7}}', "error"),
    ],
)
def test_hostile_settings(run, files, settings, message):
    skops.dump(GraphCRFClassifier().fit([[0.0], [1.0]], [1, 2]), "m.skops")
    with ZipFile("m.skops", "a") as archive:
        archive.writestr("command_line.json", settings)
    code, out, err = run("predict -m m.skops test.txt")
    assert (code, out) == (1, "")
    assert message in err


def test_as_a_program(files, tmp_path):
    def program(arguments, **options):
        command = [sys.executable, "-m", "skstruct", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, **options)

    done = program(["train", "-q", "-m", "m.skops", "train.txt"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    read, write = os.pipe()
    os.close(read)  # as by `| head`, after it has ended
    with os.fdopen(write, "wb") as pipe:
        command = [sys.executable, "-m", "skstruct", "predict", "-m", "m.skops", "test.txt"]
        done = subprocess.run(command, cwd=tmp_path, stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr == b""


def test_the_script_of_the_package():
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["skstruct"].partition(":")
    assert getattr(import_module(module), name) is main

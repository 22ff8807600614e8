"""Files with damaged contents, and the command line with damaged arguments and files."""

import contextlib
import io
import shutil
from functools import partial
from pathlib import Path

import pycrfsuite

import skstruct.io
from skstruct import GraphDataset
from skstruct.cli import main
from skstruct.compat import CRF, from_crfsuite
from skstruct.io import read_conll, read_conllu, read_uai, read_uai_log_partition, read_uai_marginals

from .damages import Content
from .values import FOLDER, GRAPHS, LABELS, TAGS, TOKENS

TEXTS = {
    "train.txt": b"the D\nbig A\ndog N\n\na D\ncat N\n\ncats N\nsleep V\n",
    "trees.conllu": b"""\
# text = The dog barks
1\tThe\tthe\tDET\tDT\t_\t2\tdet\t_\t_
2\tdog\tdog\tNOUN\tNN\tNumber=Sing\t3\tnsubj\t_\t_
3\tbarks\tbark\tVERB\tVBZ\t_\t0\troot\t_\tSpaceAfter=No

1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
""",
    "train.crfsuite": b"D\tw=the\tlen:3\nN\tw=dog\n\nD\tw=a\tlen:1\nN\tw=cat\n",
    "train.jsonl": b"""\
{"node_features": [[1.0], [0.8], [0.1]], "edges": [[0, 1], [1, 2]], "labels": [1, 1, 2], "id": "x"}
{"node_features": [[0.5], [0.7]], "edges": [[0, 1]], "labels": [2, null]}
""",
    "templates": b"# words\nU00:%x[-1,0]\nU01:%x[0,0]\nc0.lower[0]|c0[1]\n\nB\n",
    "model.uai": b"""\
MARKOV
3
2 3 2
4
1 1
2 0 1
2 2 1
0

3
 1.0 0.0 2.0
6
 1 2 3
 4 5 6
6
 2 2 2 2 2 8
1
 10
""",
    "model.evid": b"2\n 0 0\n 1 2\n",
    "result.PR": b"PR\n-2.0\n",
    "result.MAR": b"MAR\n2 2 0.25 0.75 3 0.5 0.5 0\n",
}
DATA = ["train.txt", "trees.conllu", "train.crfsuite", "train.jsonl"]  # files for the command line


def run(command, *positional, **options):
    """Run the command line; raise its message as an error if it fails."""
    given = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    named = [
        option if value is True else f"{option}={value}".replace("\0", "")  # which no argument of a program contains
        for option, value in given.items()
        if value is not None and value is not False
    ]
    run_main([command, *named, *(str(word).replace("\0", "") for word in positional)])


def run_main(argv):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code
    if code:
        raise ValueError(said.getvalue())


def train(path, *options):
    run_main(["train", "--quiet", f"--model={FOLDER / 'new.skops'}", "--max-iter=3", *options, str(path)])


def answer(command, model, path):
    """Run a command with a sound model on a damaged file."""
    run_main([command, f"--model={FOLDER / model}", str(path)])


def load_dataset(name, path):
    """Load a dataset of which one file is damaged."""
    folder = path.with_name("content-of-data")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FOLDER / "sentences", folder)
    shutil.copy(path, folder / name)
    skstruct.io.load_dataset(folder)


def write_files():
    """Write sound files."""
    for name, content in TEXTS.items():
        (FOLDER / name).write_bytes(content)
        if name in DATA:
            run_main(["train", "--quiet", f"--model={FOLDER / name}.skops", "--max-iter=5", str(FOLDER / name)])
    trainer = pycrfsuite.Trainer("lbfgs", verbose=False)
    for x, y in zip(TOKENS, TAGS):
        trainer.append(x, y)
    trainer.train(str(FOLDER / "crfsuite"))
    skstruct.io.save_dataset(FOLDER / "sentences", GraphDataset.from_sequences(TOKENS), TAGS)
    skstruct.io.save_dataset(FOLDER / "data", GRAPHS, LABELS)


def file_entries():
    """Yield names, functions that read a file of the given content, and valid contents."""
    readers = {
        "read_conll": ("train.txt", lambda path: read_conll(path, ["w", "t"], target="t")),
        "read_conllu": ("trees.conllu", read_conllu),
        "read_conllu, heads": ("trees.conllu", partial(read_conllu, edges="head", columns=["form", "feats"])),
        "read_uai": ("model.uai", read_uai),
        "read_uai, evidence": ("model.evid", partial(read_uai, FOLDER / "model.uai")),
        "read_uai_log_partition": ("result.PR", read_uai_log_partition),
        "read_uai_marginals": ("result.MAR", read_uai_marginals),
        "from_crfsuite": ("crfsuite", from_crfsuite),
        "CRF, model_filename": ("crfsuite", lambda path: CRF(model_filename=path).predict(TOKENS)),
        "load_model": ("train.txt.skops", skstruct.io.load_model),
        "load_dataset, index": ("sentences/dataset.json", partial(load_dataset, "dataset.json")),
        "load_dataset, array": ("sentences/y.npy", partial(load_dataset, "y.npy")),
        "train, templates": ("templates", lambda path: train(FOLDER / "train.txt", f"--template={path}")),
        "train, heads": ("trees.conllu", lambda path: train(path, "--edges=head")),
        "predict, model": ("train.txt.skops", lambda path: run_main(["predict", f"--model={path}", *DATA[:1]])),
    }
    for name in DATA:
        readers[f"train {name}"] = name, train
        for command in ("predict", "evaluate"):
            readers[f"{command} {name}"] = name, partial(answer, command, f"{name}.skops")
    for label, (name, read) in readers.items():
        path = FOLDER / f"content{Path(name).suffix}"
        yield f"file: {label}", partial(read_content, path, read), {"content": Content((FOLDER / name).read_bytes())}


def read_content(path, read, content):
    path.write_bytes(content)
    read(path)


def command_entries():
    """Yield names, functions of the options of commands, and valid options."""
    data, model = str(FOLDER / "train.txt"), str(FOLDER / "train.txt.skops")
    training = {
        "model": str(FOLDER / "other.skops"),
        "template": None,
        "min_count": 1,
        "node_weights": "all",
        "edge_weights": "full",
        "cost": 1.0,
        "c1": None,
        "c2": None,
        "objective": "likelihood",
        "optimizer": "lbfgs",
        "inference": "auto",
        "max_iter": 3,
        "tol": 0.1,
        "holdout": None,
        "jobs": 1,
        "seed": 0,
        "format": "columns",
        "columns": None,
        "label": None,
        "edges": None,
        "resume": False,
        "quiet": True,
        "data": data,
    }
    predicting = {"model": model, "output": None, "known": False, "decoding": "map", "proba": True, "top": None}
    predicting |= {"proba_all": False, "format": "columns", "columns": "c0", "data": data}
    evaluating = {"model": model, "decoding": "map", "format": "columns", "columns": "c0", "data": data}
    commands = {"train": training, "predict": predicting, "evaluate": evaluating}
    commands["inspect"] = {"model": model, "top": 3, "label": "N"}
    for command, options in commands.items():
        yield f"skstruct {command}", partial(run_with_data, command), options


def run_with_data(command, data=None, **options):
    run(command, *([] if data is None else [data]), **options)

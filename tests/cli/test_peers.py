"""The same data and penalty as for CRFsuite give the same model."""

import numpy as np
import pytest

pycrfsuite = pytest.importorskip("pycrfsuite")

RNG = np.random.default_rng(0)
SEQUENCES = [
    [
        {f"w={RNG.integers(6)}": 1.0, f"s={RNG.integers(3)}": float(RNG.integers(1, 4)), "bias": 1.0}
        for _ in range(RNG.integers(1, 8))
    ]
    for _ in range(60)
]
LABELS = [RNG.choice(["A", "B", "C"], len(sequence)).tolist() for sequence in SEQUENCES]


@pytest.mark.parametrize(("c1", "c2"), [(0.0, 0.4), (0.5, 0.1)])
def test_marginals_of_crfsuite(run, write, c1, c2):
    lines = [
        "\n".join("\t".join([label, *(f"{k}:{v:g}" for k, v in x.items())]) for x, label in zip(sequence, labels))
        for sequence, labels in zip(SEQUENCES, LABELS)
    ]
    write("data.crfsuite", "\n\n".join(lines))
    assert run(f"train -q -m m.skops --c1 {c1} --c2 {c2} data.crfsuite")[0] == 0
    out = run("predict -m m.skops --proba-all data.crfsuite")[1]
    ours = [[float(cell.partition(":")[2]) for cell in line.split("\t")[1:]] for line in out.splitlines() if line]

    trainer = pycrfsuite.Trainer("lbfgs", {"c1": c1, "c2": c2, "epsilon": 1e-9, "delta": 1e-12}, verbose=False)
    for sequence, labels in zip(SEQUENCES, LABELS):
        trainer.append(pycrfsuite.ItemSequence(sequence), labels)
    trainer.train("m.crfsuite")
    tagger = pycrfsuite.Tagger()
    tagger.open("m.crfsuite")
    theirs = []
    for sequence in SEQUENCES:
        tagger.set(pycrfsuite.ItemSequence(sequence))
        theirs += [[tagger.marginal(label, t) for label in "ABC"] for t in range(len(sequence))]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3)


def test_cost_of_crfpp(run, write):
    lines = ["\n".join(f"{next(iter(x))} {label}" for x, label in zip(*pair)) for pair in zip(SEQUENCES, LABELS)]
    write("data.txt", "\n\n".join(lines))
    answers = []
    for penalty in ("-c 2", "--c2 0.25"):
        assert run(f"train -q -m m.skops -e 1e-8 {penalty} data.txt")[0] == 0
        answers.append(run("predict -m m.skops --proba-all data.txt")[1])
    assert answers[0] == answers[1]

"""CRFsuite as plain functions. The module imports the standard library only, as `benchmarks._text` does."""

import re
import tempfile
import time
import weakref
from pathlib import Path

from benchmarks._machine import Seconds


class CRFsuite:
    """A linear-chain model that CRFsuite trains with L-BFGS, with observed weights only (the default of CRFsuite)."""

    def __init__(self, pycrfsuite, sequences, c2, c1=0.0):
        """Read pairs of attributes and labels. CRFsuite keeps a copy."""
        self.pycrfsuite = pycrfsuite
        self.trainer = pycrfsuite.Trainer(verbose=False)
        self.trainer.select("lbfgs")
        self.settings = {"c1": c1, "c2": c2, "feature.possible_states": 0, "feature.possible_transitions": 0}
        for attributes, labels in sequences:
            self.trainer.append(attributes, labels)
        folder = tempfile.TemporaryDirectory()
        weakref.finalize(self, folder.cleanup)
        self.file = str(Path(folder.name) / "model.crfsuite")

    def train(self, max_iter=1000):
        """Train, set objective, curve and counts, and return the CPU time of an evaluation.

        `curve` has the CPU time until the end of each iteration, and the objective there. The time of an iteration
        includes the L-BFGS step. It does not include the generation of features and the writing of the model. The times
        are those at which CRFsuite writes its log; the log itself has milliseconds, and short iterations take 0 there.
        """
        log, clock = [], []

        def read(message):
            log.append(message)
            if message.startswith(("L-BFGS optimization", "Seconds required for this iteration")):
                clock.append(time.process_time())

        self.trainer.set_params({**self.settings, "max_iterations": max_iter})
        self.trainer.message = read
        self.trainer.train(self.file)
        text = "".join(log)
        losses = [float(loss) for loss in re.findall(r"Loss: ([\d.e+-]+)", text)]
        self.objective, self.curve = losses[-1], ([end - clock[0] for end in clock[1:]], losses)
        self.n_weights = int(re.findall(r"Number of features: (\d+)", text)[-1])
        trials = re.findall(r"Line search trials: (\d+)", text)
        self.n_iter, self.n_evaluations = len(trials), sum(map(int, trials))
        return Seconds((clock[-1] - clock[0]) / self.n_evaluations)

    def tagger(self):
        """Open the trained model."""
        tagger = self.pycrfsuite.Tagger()
        tagger.open(self.file)
        return tagger

    def tag(self, sequences):
        """Label sequences with the trained model."""
        tagger = self.tagger()
        return [tagger.tag(sequence) for sequence in sequences]

    def weights(self, columns, classes):
        """Return the trained weights as (n_features, n_states) and (n_states, n_states)."""
        import numpy as np  # not at the top: the class also runs in a process that measures CRFsuite's memory alone

        info = self.tagger().info()
        codes = {label: k for k, label in enumerate(classes)}
        node, edge = np.zeros((len(columns), len(codes))), np.zeros((len(codes), len(codes)))
        for (attribute, label), weight in info.state_features.items():
            node[columns[attribute], codes[label]] = weight
        for (before, after), weight in info.transitions.items():
            edge[codes[before], codes[after]] = weight
        return node, edge

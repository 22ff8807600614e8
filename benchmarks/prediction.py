"""Prediction on chains: labels per second from arrays and from strings, and the time of one short sentence."""

import numpy as np
from sklearn.pipeline import make_pipeline

from benchmarks._crfsuite import CRFsuite
from benchmarks._measure import case
from benchmarks._sequences import chunk_words, chunking, letters
from benchmarks._text import CHUNK_NOTATION, COLUMNS, chunk_attributes
from benchmarks._training import chain_crf, flat_coef, stopped_fit, with_coef
from benchmarks.chains import C2
from skstruct.preprocessing import TokenTemplates

N_ITER = 20  # iterations of the trainings; all programs then have the same weights


@case("Letters: decoding")
def letters_decoding(run):
    """OCR letters: decoded letters per second; asserted: CRFsuite's labels (99.9 % of nodes)."""
    _decoding(run, letters(run))


@case("Chunking: decoding")
def chunking_decoding(run):
    """CoNLL-2000 chunking: decoded tokens per second; asserted: CRFsuite's labels (99.9 % of nodes)."""
    _decoding(run, chunking(run))


@case("Chunking: from words to labels")
def chunking_strings(run):
    """CoNLL-2000 chunking, from words and tags: tokens per second; asserted: CRFsuite's labels (99.9 % of nodes).

    Python code computes the attribute strings of CRFsuite from the templates. The last row does not include this time.
    """
    train, test = chunk_words(run)
    n_nodes = sum(len(labels) for _, labels in test)
    engines, tagger = _taggers(run, train)
    words = [sentence for sentence, _ in test]
    engines = {name: (lambda tag=tag: tag(words)) for name, tag in engines.items()}
    if tagger is not None:
        ours, theirs = (np.concatenate(list(engines[name]())) for name in ("skstruct", "python-crfsuite"))
        run.check("fraction of equal labels", np.mean(ours == theirs), 1.0, atol=1e-3)
        attributes = [chunk_attributes(sentence) for sentence in words]
        engines["python-crfsuite, from attributes"] = lambda: [tagger.tag(sentence) for sentence in attributes]
    run.compare(f"tagging from strings, {n_nodes} tokens", engines, unit="tokens/s", count=n_nodes, rate=True)


@case("Chunking: one sentence")
def latency(run):
    """CoNLL-2000 chunking: wall-clock time of one call for one sentence of 5 to 15 words, from words and tags.

    Asserted: CRFsuite's labels (99 % of nodes).
    """
    _latency(run, CHUNK_NOTATION, chunk_attributes, (500.0, 300.0))


@case("Chunking: one sentence, three attributes per token")
def latency_three_attributes(run):
    """The same as latency, with three attributes per token instead of about twenty: word, tag, and previous tag."""
    _latency(run, ["w[0]", "pos[-1..0]"], _three_attributes, (300.0, 150.0))


def _three_attributes(words):
    tags = [tag for _, tag in words]
    previous = [[], *([f"pos[-1]={tag}"] for tag in tags[:-1])]
    return [[f"w[0]={word}", *before, f"pos[0]={tag}"] for (word, tag), before in zip(words, previous)]


def _latency(run, notation, attributes, goals):
    train, test = chunk_words(run)
    engines, tagger = _taggers(run, train, notation, attributes)
    short = [[words] for words, _ in test if 5 <= len(words) <= 15][:100]
    if tagger is not None:
        ours, theirs = (np.concatenate([tag(x)[0] for x in short]) for tag in engines.values())
        run.check("fraction of equal labels", np.mean(ours == theirs), 1.0, atol=1e-2)
    median = run.latency("one sentence", engines, short, run.pick(20, 500, 2000))
    run.goal("one sentence, median", 1e6 * median, at_least=goals[0], goal=goals[1], unit="µs")


def _taggers(run, train, notation=CHUNK_NOTATION, attributes=chunk_attributes):
    """Functions from sentences of (word, tag) to labels, and CRFsuite's tagger, or None."""
    words, labels = map(list, zip(*train))
    templates = TokenTemplates(notation, columns=COLUMNS)
    X = templates.fit_transform(words)
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    if pycrfsuite is None:
        crf = stopped_fit(chain_crf(C2, max_iter=N_ITER), X, labels)
        return {"skstruct": make_pipeline(templates, crf).predict}, None
    peer = CRFsuite(pycrfsuite, ((attributes(sentence), y) for sentence, y in train), C2)
    columns = {name: k for k, name in enumerate(templates.get_feature_names_out())}  # names are those of CRFsuite
    crf = _with_weights(peer, X, labels, columns, sorted(set().union(*labels)))
    tagger = peer.tagger()
    engines = {
        "skstruct": make_pipeline(templates, crf).predict,
        "python-crfsuite": lambda sentences: [tagger.tag(attributes(sentence)) for sentence in sentences],
    }
    return engines, tagger


def _with_weights(peer, X, y, columns, classes):
    """Train CRFsuite, and return a classifier with its weights."""
    peer.train(N_ITER)
    return with_coef(chain_crf(C2), X, y, flat_coef(chain_crf(C2), X, y, *peer.weights(columns, classes)))


def _decoding(run, problem):
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    n_nodes, test = problem.X_test.n_nodes, problem.test_sequences
    if pycrfsuite is None:
        crf = stopped_fit(chain_crf(C2, max_iter=N_ITER), problem.X, problem.y)
        engines = {"skstruct": lambda: crf.predict(problem.X_test)}
    else:
        peer = CRFsuite(pycrfsuite, zip(problem.sequences, problem.labels), C2)
        crf = _with_weights(peer, problem.X, problem.y, problem.columns, problem.classes)
        tagger = peer.tagger()
        items = [pycrfsuite.ItemSequence(sequence) for sequence in test]
        theirs = np.concatenate([tagger.tag(sequence) for sequence in items])
        run.check("fraction of equal labels", np.mean(crf.predict(problem.X_test).values == theirs), 1.0, atol=1e-3)
        engines = {
            "skstruct": lambda: crf.predict(problem.X_test),
            "python-crfsuite, from its item sequences": lambda: [tagger.tag(sequence) for sequence in items],
            "python-crfsuite, from strings": lambda: [tagger.tag(sequence) for sequence in test],
        }
    run.compare(f"decoding, {n_nodes} nodes", engines, unit="nodes/s", count=n_nodes, rate=True)

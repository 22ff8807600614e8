"""Partitions on a cluster: training and prediction with damaged partitions, clients and folders."""

from functools import cache

import distributed
from dask import compute, delayed
from sklearn.preprocessing import StandardScaler

from skstruct.distributed import DaskGraphCRFClassifier, DaskTransformer
from skstruct.preprocessing import NodeTransformer

from .values import GRAPHS, LABELS, VALUES

SETTINGS = {"max_iter": 3, "tol": 0.1}


@cache
def client():
    """Client of a cluster in this process; it is the current client."""
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=None
    )
    return distributed.Client(cluster)


class Box:
    """A result of a task that Dask does not look into."""

    def __init__(self, content):
        self.content = content


def tasks(*partitions):
    client()
    return [delayed(lambda box: box.content, pure=False)(Box(partition)) for partition in partitions]


def fit(partition):
    DaskGraphCRFClassifier(**SETTINGS).fit(tasks((GRAPHS, LABELS), partition))


def score(partition):
    DaskGraphCRFClassifier(**SETTINGS).fit(GRAPHS, LABELS).score(tasks((GRAPHS, LABELS), partition))


def predict(partition):
    compute(DaskGraphCRFClassifier(**SETTINGS).fit(GRAPHS, LABELS).predict(tasks(GRAPHS, partition)))


def transform(partition):
    DaskTransformer(NodeTransformer(StandardScaler())).fit_transform(tasks((GRAPHS, LABELS), partition))


def fit_with(client, early_stopping, transductive, known):
    crf = DaskGraphCRFClassifier(**SETTINGS, client=client, early_stopping=early_stopping, transductive=transductive)
    crf.fit(tasks((GRAPHS, LABELS))).predict(tasks(GRAPHS), known)


def fit_folders(folder):
    client()
    DaskGraphCRFClassifier(**SETTINGS).fit(folder)


def partition_entries():
    """Yield names, functions and valid arguments."""
    for function in (fit, score, transform):
        yield f"distributed {function.__name__}", function, {"partition": (GRAPHS, LABELS)}
    yield "distributed predict", predict, {"partition": GRAPHS}
    yield "distributed folders", fit_folders, {"folder": [VALUES["folder"]] * 2}
    yield (
        "distributed parameters",
        fit_with,
        {"client": None, "early_stopping": False, "transductive": False, "known": None},
    )

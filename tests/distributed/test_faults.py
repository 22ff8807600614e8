"""Workers that die or join during a training, Ctrl-C, and partitions that cannot be used."""

import os
import signal
import threading
import time
from concurrent.futures import CancelledError
from functools import partial

import numpy as np
import pytest

from skstruct.distributed import DaskGraphCRFClassifier
from skstruct.distributed._cluster import Cluster
from skstruct.distributed._training import ClusterLoss
from skstruct.exceptions import PartitionError
from skstruct.features import ConstrainedFeatures
from skstruct.io import save_dataset

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

# A LocalCluster closes a worker this long after a crash, also if the worker has been started again.
PATIENT = {"distributed.deploy.lost-worker-timeout": "1h"}


@pytest.fixture
def at_evaluation(monkeypatch):
    """Call functions before evaluations: ``at_evaluation({5: function, ...})``; returns a list of the evaluations."""

    def install(actions):
        done, original = [], ClusterLoss.total

        def total(self, coef):
            done.append(len(done) + 1)
            actions.get(len(done), lambda: None)()
            return original(self, coef)

        monkeypatch.setattr(ClusterLoss, "total", total)
        return done

    return install


def kill_a_worker(client, number=0):
    workers = sorted(client.nthreads())
    (pid,) = client.run(os.getpid, workers=[workers[number % len(workers)]]).values()
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def folders(make_data, tmp_path):
    X, y = make_data()
    for k in range(4):
        save_dataset(tmp_path / str(k), X[3 * k : 3 * k + 3], y[3 * k : 3 * k + 3])
    return [tmp_path / str(k) for k in range(4)]


def test_a_killed_worker_changes_no_bit(start_cluster, folders, at_evaluation):
    with start_cluster(2, processes=True) as client:
        crf = DaskGraphCRFClassifier(tol=1e-3)
        expected = crf.fit(folders)._model.coef
        at_evaluation({3: lambda: kill_a_worker(client)})
        np.testing.assert_array_equal(crf.fit(folders)._model.coef, expected)


@pytest.mark.timeout(300)  # it waited for ever
@pytest.mark.parametrize(("n_workers", "evaluation"), [(1, 1), (1, 3), (2, 3)])
def test_workers_may_die_all_at_once(n_workers, evaluation, start_cluster, folders, at_evaluation):
    with dask.config.set(PATIENT), start_cluster(n_workers, processes=True) as client:
        crf = DaskGraphCRFClassifier(tol=1e-3)
        expected = crf.fit(folders)._model.coef

        def kill_all():
            for pid in client.run(os.getpid).values():
                os.kill(pid, signal.SIGKILL)

        at_evaluation({evaluation: kill_all})
        np.testing.assert_array_equal(crf.fit(folders)._model.coef, expected)


@pytest.mark.timeout(300)
def test_a_worker_may_die_before_its_result_is_fetched(start_cluster):
    with dask.config.set(PATIENT), start_cluster(1, processes=True) as client:
        cluster = Cluster(client)
        first, second = cluster.submit(int, "17", worker=cluster.slots()[0]), cluster.submit(int, "4")
        distributed.wait([first, second])
        kill_a_worker(client)
        assert cluster.result(cluster.submit(sum, [first, second])) == 21
        assert cluster.result(first) == 17


def test_a_worker_may_die_before_parameters_are_sent(client):
    with pytest.raises(CancelledError):
        Cluster(client).send([np.zeros(3)], "tcp://127.0.0.1:1")


def test_lost_parameters_are_sent_again(client, folders, monkeypatch):
    n_sent, original = [], Cluster.send

    def send(self, objects, worker):
        futures = original(self, objects, worker)
        n_sent.append(len(futures))
        if len(n_sent) == 3:
            client.cancel(futures, force=True)
        return futures

    crf = DaskGraphCRFClassifier(tol=1e-2).fit(folders)
    expected = crf._model.coef
    monkeypatch.setattr(Cluster, "send", send)
    np.testing.assert_array_equal(crf.fit(folders)._model.coef, expected)
    assert sum(n_sent) == crf.n_evaluations_ + 1


def test_workers_that_join_and_leave_change_no_bit(start_cluster, folders, at_evaluation):
    with start_cluster(1) as client:

        def scale(n):
            client.cluster.scale(n)
            while len(client.nthreads()) != n:
                time.sleep(0.02)

        crf = DaskGraphCRFClassifier(tol=1e-3)
        expected = crf.fit(folders)._model.coef
        places = []
        actions = {3: lambda: scale(3), 6: lambda: places.append(set(client.has_what())), 7: lambda: scale(1)}
        done = at_evaluation(actions)
        np.testing.assert_array_equal(crf.fit(folders)._model.coef, expected)
        assert len(done) > 8
        assert len(places[0]) == 3


@pytest.mark.timeout(1800)
@pytest.mark.slow  # 20 trainings, in each of which a worker is killed: some minutes
def test_twenty_trainings_survive_kills_at_random_moments(start_cluster, make_data, tmp_path, at_evaluation):
    rng = np.random.default_rng(0)
    X, y = make_data(n_graphs=600)
    folders = [tmp_path / str(k) for k in range(6)]
    for k, folder in enumerate(folders):
        save_dataset(folder, X[100 * k : 100 * k + 100], y[100 * k : 100 * k + 100])
    with dask.config.set(PATIENT), start_cluster(2, processes=True) as client:
        crf = DaskGraphCRFClassifier(tol=1e-3)
        expected = crf.fit(folders)._model.coef
        n_evaluations, actions = crf.n_evaluations_, {}
        done = at_evaluation(actions)
        for _ in range(20):
            while len(client.nthreads()) < 2:  # `wait_for_workers` of a LocalCluster can miss a restart
                time.sleep(0.1)
            done.clear()
            actions.clear()
            timer = threading.Timer(rng.uniform(0, 0.1), kill_a_worker, [client, rng.integers(2)])
            actions[int(rng.integers(1, n_evaluations - 1))] = timer.start
            np.testing.assert_array_equal(crf.fit(folders)._model.coef, expected)
            timer.join()
            assert timer.finished.is_set()


@pytest.fixture
def press_ctrl_c():
    """Send Ctrl-C to this process, also if a script has started the tests in the background, which ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield partial(os.kill, os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_the_best_iterate_and_frees_the_workers(
    client, make_data, cut, at_evaluation, press_ctrl_c, wait_until_empty
):
    parts = cut(3, *make_data())
    done = at_evaluation({6: press_ctrl_c})
    crf = DaskGraphCRFClassifier()
    with pytest.raises(KeyboardInterrupt) as stopped:
        crf.fit(parts)
    assert len(done) < 10
    assert crf.n_iter_ >= 3
    assert crf.loss_curve_[-1] < crf.loss_curve_[0]
    assert stopped.value.__traceback__ is not None  # whose frames still refer to the futures
    wait_until_empty(client)
    assert crf.score(parts) > 0.3


def no_file():
    raise FileNotFoundError("/data/7 is not there")


GRAPH = np.ones((2, 3)), [(0, 1)]
GOOD = [GRAPH], [[0, 1]]
MALFORMED = {
    "labels missing": (([GRAPH], None), "there are graphs, but no labels"),
    "no tuple": ([GRAPH], r"TypeError: a partition must be a tuple \(X, y\)"),
    "labels of another length": (([GRAPH], [[0]]), "graph 0"),
    "fewer features": (([(np.ones((2, 2)), [])], [[0, 1]]), "the number of node features is 2, but 3 in partition 0"),
    "another type": (([(np.ones((2, 3), np.float32), [])], [[0, 1]]), "the type of node features is 'dense float32'"),
    "edge features": (([(*GRAPH, [[1.0]])], [[0, 1]]), "the number of edge features is 1, but 0"),
    "strings": (([GRAPH], [["a", "b"]]), "the kind of labels is 'string', but 'number'"),
    "a label that is no class": (([GRAPH], [[0, 2]]), r"y\[0\]\[1\] is 2, which is not"),
    "a table": ((np.ones((2, 3)), [0, 1]), "the kind of samples is 'nodes', but 'graphs'"),
    "weights": (([GRAPH], [[0, 1]], [-1.0]), r"sample_weight\[0\] is -1"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_partition_is_named(case, client):
    value, message = MALFORMED[case]
    crf = DaskGraphCRFClassifier(classes=[0, 1] if "class" in case else None)
    with pytest.raises(PartitionError, match=f"partition 1: .*{message}") as caught:
        crf.fit([dask.delayed(_same)(GOOD), dask.delayed(_same)(value)])
    assert caught.value.partition == 1
    assert not hasattr(crf, "classes_")


def test_a_loader_that_fails_is_named(client):
    with pytest.raises(PartitionError, match="partition 1: FileNotFoundError: /data/7 is not there"):
        DaskGraphCRFClassifier().fit([dask.delayed(_same)(GOOD), dask.delayed(no_file)()])


def _same(value):
    return value


def test_a_missing_folder_is_named(client, folders):
    with pytest.raises(PartitionError, match=r"partition 4 \(/nowhere\): .*dataset.json"):
        DaskGraphCRFClassifier().fit([*folders, "/nowhere"])


def test_an_error_of_an_evaluation_names_partition_and_graph(client):
    """The number of the graph is that in the partition, in which a graph of weight 0 comes first."""
    second = [GRAPH] * 3, [[0, 1], [0, 1], [1, 0]], [0.0, 1.0, 1.0]
    parts = [dask.delayed(_same)(GOOD), dask.delayed(_same)(second)]
    crf = DaskGraphCRFClassifier(ConstrainedFeatures("linear", forbidden_pairs=[(1, 0)]))
    with pytest.raises(PartitionError, match="partition 1: InfeasibleGraph: graph 2"):
        crf.fit(parts)


def test_what_is_not_supported_is_refused(client, make_data, cut):
    X, y = make_data()
    parts = cut(2, X, y)
    for name in ("early_stopping", "transductive"):
        with pytest.raises(ValueError, match=f"{name}=True is not supported for partitions"):
            DaskGraphCRFClassifier(**{name: True}).fit(parts)
    with pytest.raises(ValueError, match="a partition contains its labels"):
        DaskGraphCRFClassifier().fit(parts, y)
    with pytest.raises(TypeError, match="X must be a list of partitions"):
        DaskGraphCRFClassifier().fit(parts[0])
    with pytest.raises(ValueError, match="at least one weight must be a non-zero number"):
        DaskGraphCRFClassifier().fit(cut(2, X, y, np.zeros(len(X))))
    with pytest.raises(ValueError, match="y has no labelled node"):
        DaskGraphCRFClassifier(missing_label=-1, classes=[0, 1]).fit([dask.delayed(_same)(([GRAPH], [[-1, -1]]))])
    with pytest.raises(TypeError, match="partial_fit needs data in memory"):
        DaskGraphCRFClassifier(optimizer="sgd", classes=[0, 1, 2]).partial_fit(parts, y)
    crf = DaskGraphCRFClassifier(max_iter=1, tol=1.0).fit(parts)
    with pytest.raises(ValueError, match="known must be None for partitions"):
        crf.predict(parts, known=y)


def test_no_client(monkeypatch):
    monkeypatch.setattr(distributed, "get_client", lambda: int("no client"))
    with pytest.raises(ValueError, match="there is no Dask client"):
        DaskGraphCRFClassifier().fit(["/data/0"])


def test_waiting_for_a_worker_is_logged(client, folders, monkeypatch, caplog):
    monkeypatch.setattr("skstruct.distributed._cluster.PATIENCE", 0.0)
    n_threads, n_calls = client.nthreads(), []

    def nthreads(*args):
        n_calls.append(args)
        return n_threads if len(n_calls) > 4 else {}

    monkeypatch.setattr(client, "nthreads", nthreads)
    DaskGraphCRFClassifier(tol=1e-2, client=client).fit(folders)
    assert [record.message for record in caplog.records if record.name == "skstruct"] == [
        "the cluster has no workers; skstruct waits until there is one"
    ]

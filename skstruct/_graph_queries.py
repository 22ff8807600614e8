"""What a fitted graph CRF answers: labels, probabilities, samples, numbers of whole graphs."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skstruct import _chunks
from skstruct._class_columns import require_comparable
from skstruct._input import find_codes, read_X
from skstruct._label_types import plain_labels
from skstruct._missing import missing_mask
from skstruct._ragged import RaggedArray
from skstruct._records import Scores
from skstruct._resolve import resolve
from skstruct.decoding import DECODERS
from skstruct.exceptions import InfeasibleGraph, numbered_by, numbered_from
from skstruct.features import FeaturePlan
from skstruct.inference import InferenceBackend, MeanField, TreeReweightedBP, _queries
from skstruct.inference._base import clamp, edge_rows, parts, require_allowed, score_labelling
from skstruct.objectives import MISSING


class GraphQueries:
    """Queries of `GraphCRFClassifier`, which sets the attributes below."""

    classes_: np.ndarray
    inference_: InferenceBackend
    n_edge_features_in_: int
    decoding: Any
    missing_label: Any
    n_jobs: int | None
    _coef: np.ndarray
    _feature_plan: FeaturePlan
    _check_parameters: Callable
    _encode: Callable

    def _read(self, X):
        check_is_fitted(self)
        layout = read_X(self, X, reset=False)
        given = layout.dataset.edge_features
        n_given = 0 if given is None else given.shape[1]
        if layout.dataset.n_edges and n_given != self.n_edge_features_in_:
            raise ValueError(
                f"X has {n_given} edge features, but {type(self).__name__} was fitted with "
                f"{self.n_edge_features_in_} edge features; give the same ones in fit and here."
            )
        return layout

    def _known_codes(self, layout, known):
        """State codes of the labels that are known beforehand, (n_nodes,), or None."""
        if known is None:
            return None
        blank = np.nan if self.missing_label is None else self.missing_label
        return self._encode(layout, known, self.classes_, blank, "known")[0]

    def _map_chunks(self, dataset, query, known=None):
        """Run ``query(chunk, scores)`` on all chunks, in threads, and return chunks with results, in order."""
        chunks = _chunks.cut(dataset, len(self.classes_), self.inference_)

        def run(chunk):
            with numbered_from(chunk.graphs.start):
                scores = self._feature_plan.scores(self._feature_plan.prepare(chunk.batch), self._coef)
                return query(chunk, scores if known is None else clamp(scores, known[chunk.nodes]))

        with _chunks.thread_map(self.n_jobs if len(chunks) > 1 else 1) as in_threads:
            return list(zip(chunks, in_threads(run, chunks)))

    def _marginals(self, dataset, known=None):
        """Node marginals (n_nodes, n_classes); raises where no labelling is allowed."""

        def query(chunk, scores):
            return _queries.marginals(chunk.plan, scores).node

        return _concatenate([node for _, node in self._map_chunks(dataset, query, known)], (0, len(self.classes_)))

    def predict(self, X, known=None):
        """Predict the label of every node, by `decoding`.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels that are known beforehand; the others are predicted given them. `missing_label`, or None and nan if
            that is None, stands for an unknown label.

        Returns
        -------
        labels : RaggedArray, or ndarray of shape (n_samples,) for a table or a NodeView

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        layout = self._read(X)
        return layout.wrap(self.classes_[self._decode(layout.dataset, self._known_codes(layout, known))])

    def _decode(self, dataset, known=None):
        """State codes of all nodes, (n_nodes,)."""
        self._check_parameters()  # they may have been set since fit
        if self.decoding == "marginal":
            return self._marginals(dataset, known).argmax(axis=1)
        decoder = None if self.decoding == "map" else resolve(self.decoding, DECODERS, "decoding")

        def query(chunk, scores):
            topology = chunk.plan.topology
            found = chunk.plan.decode(scores) if decoder is None else decoder.decode(topology, scores)
            require_allowed(chunk.plan, scores, found.score)
            return found.labels

        codes = [codes for _, codes in self._map_chunks(dataset, query, known)]
        return _concatenate(codes, (0,)).astype(np.intp)

    def predict_top_k(self, X, k, known=None):
        """Find the `k` most probable labellings of each graph, best first; inference must be exact.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        k : int
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        labels : RaggedArray of (n_nodes, k)
            A column for each labelling. A graph with fewer than `k` allowed ones repeats its best.
        log_likelihood : ndarray of shape (n_graphs, k)
            Log-probability of each labelling, given `known`, in nats; -inf for such repeats.

        Raises
        ------
        UnsupportedTopology
            If inference on a graph is approximate.
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        k = _queries.positive_integer(k, "k")
        layout = self._read(X)
        dataset = layout.dataset
        labels = np.empty((dataset.n_nodes, k), self.classes_.dtype)
        log_likelihood = np.full((len(dataset), k), -np.inf)

        def query(chunk, scores):
            t = chunk.plan.topology
            for g in range(t.n_graphs):
                one, nodes, edges = t.take(np.array([g]))
                own = Scores(scores.node[nodes], scores.edge[edge_rows(scores, t.n_edges)[edges]])
                with numbered_from(g):
                    plan = self.inference_.plan(one, len(self.classes_))
                    found, score = _queries.top_k(plan, own, k)
                if not len(found):
                    raise InfeasibleGraph(g, "no labelling is allowed, all score -inf")
                found = found[np.where(np.arange(k) < len(found), np.arange(k), 0)]
                labels[chunk.nodes.start + nodes] = self.classes_[found.T]
                at = log_likelihood[chunk.graphs.start + g]
                at[: len(score)] = score - plan.marginals(own).log_partition

        self._map_chunks(dataset, query, self._known_codes(layout, known))
        return RaggedArray(labels, dataset.node_ptr), log_likelihood

    def sample(self, X, n_samples=1, known=None, random_state=None):
        """Draw labellings from the model: exactly where inference is exact, by Gibbs sweeps otherwise.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        n_samples : int, default=1
            At least 1.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        labels : RaggedArray of (n_nodes, n_samples), or ndarray for a table or a NodeView
            A column for each joint draw.
        """
        n_samples = _queries.positive_integer(n_samples, "n_samples")
        layout = self._read(X)
        known = self._known_codes(layout, known)
        seed = _queries.generator(random_state).integers(2**63)

        def query(chunk, scores):
            require_allowed(chunk.plan, scores, chunk.plan.decode(scores).score)
            rng = np.random.default_rng([seed, chunk.graphs.start])  # the same for any number of threads
            return chunk.plan.sample(scores, n_samples, rng).T

        drawn = [codes for _, codes in self._map_chunks(layout.dataset, query, known)]
        return layout.wrap(self.classes_[_concatenate(drawn, (0, n_samples)).astype(np.intp)])

    def predict_proba(self, X, known=None):
        """Probability of every label at every node, summed over the labels of all others.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
            Columns as in `classes_`.
        """
        layout = self._read(X)
        return layout.wrap(self._marginals(layout.dataset, self._known_codes(layout, known)))

    def predict_log_proba(self, X, known=None):
        """Logarithm of `predict_proba`, in nats.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        log_probability : RaggedArray of (n_nodes, n_classes), or ndarray of shape (n_samples, n_classes)
        """
        layout = self._read(X)
        with np.errstate(divide="ignore"):
            return layout.wrap(np.log(self._marginals(layout.dataset, self._known_codes(layout, known))))

    def predict_edge_proba(self, X, known=None):
        """Probability of every pair of labels at every edge.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        probability : RaggedArray of (n_edges, n_classes, n_classes)
            One array per graph; rows are labels of ``edges[e, 0]``.

        Raises
        ------
        InfeasibleGraph
            If no labelling of a graph is allowed.
        """
        layout = self._read(X)
        n = len(self.classes_)

        def query(chunk, scores):
            return _queries.pair_marginals(chunk.plan, scores).edge

        found = self._map_chunks(layout.dataset, query, self._known_codes(layout, known))
        return RaggedArray(_concatenate([edge for _, edge in found], (0, n, n)), layout.dataset.edge_ptr)

    def score(self, X, y, sample_weight=None, known=None):
        """Accuracy over all labelled nodes.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or array-like of shape (n_samples, n_features)
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)
        sample_weight : array-like, default=None
            Weights per graph, or per node (ragged).
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`. Their nodes count too. To leave the nodes out, let `missing_label`
            stand for their labels in `y`.

        Returns
        -------
        accuracy : float
        """
        layout = self._read(X)
        labels = layout.labels(y, self.missing_label)
        scored = ~missing_mask(labels, self.missing_label)
        if not scored.any():
            raise ValueError("y has no labelled node: accuracy is not defined.")
        given = plain_labels(labels[scored], "y")
        require_comparable(given, self.classes_)
        codes = np.full(len(labels), MISSING, np.intp)
        codes[scored] = find_codes(given, self.classes_)
        weights = scored if sample_weight is None else layout.node_weights(sample_weight) * scored
        if not weights.any():
            raise ValueError("sample_weight is zero for every labelled node: accuracy is not defined.")
        t = layout.dataset.topology
        graphs = np.flatnonzero(t.sum_nodes(weights))
        nodes = np.isin(t.node_graph, graphs)
        given_codes = self._known_codes(layout, known)
        with numbered_by(graphs):
            predicted = self._decode(
                layout.dataset if len(graphs) == t.n_graphs else layout.dataset[graphs],
                None if given_codes is None else given_codes[nodes],
            )
        return float(np.average(codes[nodes] == predicted, weights=weights[nodes]))

    def log_partition(self, X):
        """Log of the sum over all labellings of the exponentiated score.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        log_partition : ndarray of shape (n_graphs,)
            In nats.
        """
        dataset = self._read(X).dataset
        found = self._map_chunks(dataset, lambda chunk, scores: _queries.marginals(chunk.plan, scores).log_partition)
        return _concatenate([values for _, values in found], (0,))

    def log_partition_bounds(self, X):
        """Bounds of the log-partition: equal where inference is exact, else mean field's and tree-reweighted BP's.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        lower, upper : ndarray of shape (n_graphs,)
            In nats.
        """
        dataset = self._read(X).dataset

        def query(chunk, scores):
            t = chunk.plan.topology
            lower = _queries.marginals(chunk.plan, scores).log_partition
            upper = lower.copy()
            rows = edge_rows(scores, t.n_edges)
            for graphs, plan in parts(chunk.plan):
                if not plan.exact:
                    part, nodes, edges = t.take(graphs)
                    own = Scores(scores.node[nodes], scores.edge, rows[edges])
                    for bounds, backend in ((lower, MeanField()), (upper, TreeReweightedBP())):
                        bounds[graphs] = backend.plan(part, len(self.classes_)).marginals(own).log_partition
            return lower, upper

        found = [bounds for _, bounds in self._map_chunks(dataset, query)]
        return tuple(_concatenate([bounds[side] for bounds in found], (0,)) for side in (0, 1))

    def entropy(self, X, known=None):
        """Entropy of the labelling of each graph, ``log Z - E[score]``.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `predict`.

        Returns
        -------
        entropy : ndarray of shape (n_graphs,)
            In nats; 0 if the labels are certain. Of an approximate backend, the one that belongs to its marginals.
        """
        layout = self._read(X)
        known = self._known_codes(layout, known)
        found = self._map_chunks(layout.dataset, lambda chunk, s: _queries.entropy(chunk.plan, s), known)
        return _concatenate([values for _, values in found], (0,))

    def log_likelihood(self, X, y):
        """Log-probability of the labels of each graph, jointly; of the known ones where some are missing.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table
        y : RaggedArray, list of array-like, or array-like of shape (n_samples,)

        Returns
        -------
        log_likelihood : ndarray of shape (n_graphs,)
            In nats.
        """
        layout = self._read(X)
        codes, _ = self._encode(layout, y, self.classes_, self.missing_label)

        def query(chunk, scores):
            y = codes[chunk.nodes]
            complete = not (y == MISSING).any()
            log_partition = _queries.marginals(chunk.plan, scores, y if complete else None).log_partition
            if complete:
                target = score_labelling(chunk.plan.topology, scores, y)
            else:
                target = chunk.plan.marginals(clamp(scores, y)).log_partition
            return target - log_partition

        return _concatenate([values for _, values in self._map_chunks(layout.dataset, query)], (0,))

    def scores(self, X):
        """Score tensors of all graphs.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        node_scores : RaggedArray of (n_nodes, n_classes)
        edge_scores : RaggedArray of (n_edges, n_classes, n_classes)
        """
        dataset = self._read(X).dataset
        found: Scores = self._feature_plan.scores(self._feature_plan.prepare(dataset), self._coef)
        edge = found.edge[edge_rows(found, dataset.n_edges)]
        return RaggedArray(found.node, dataset.node_ptr), RaggedArray(edge, dataset.edge_ptr)

    def inference_report(self, X):
        """How inference and decoding went, graph by graph.

        Parameters
        ----------
        X : GraphDataset, NodeView, list of graphs, or table

        Returns
        -------
        report : dict of ndarray, each of shape (n_graphs,)
            ``backend`` (its name), ``exact``; ``width`` and ``entries`` of the junction tree (-1 and 0 where there is
            none); ``n_iter`` (sweeps), ``converged``, ``residual`` (last change of a message); ``gap`` between the
            score of the decoded labelling and its bound (0: proven optimal, inf: unknown); ``seconds``, the share of a
            graph, by nodes, in the time that its chunk took. ``pandas.DataFrame(report)`` makes it a table.
        """
        dataset = self._read(X).dataset
        n = len(dataset)
        report = {
            "backend": np.empty(n, object),
            "exact": np.empty(n, bool),
            "width": np.full(n, -1),
            "entries": np.zeros(n),
            "n_iter": np.empty(n, np.intp),
            "converged": np.empty(n, bool),
            "residual": np.empty(n),
            "gap": np.empty(n),
            "seconds": np.empty(n),
        }

        def query(chunk, scores):
            start = time.perf_counter()
            found, decoded = chunk.plan.marginals(scores), chunk.plan.decode(scores)
            seconds = time.perf_counter() - start
            for name in ("n_iter", "converged", "residual"):
                report[name][chunk.graphs] = getattr(found, name)
            gap = np.zeros(len(chunk.batch))
            np.subtract(decoded.bound, decoded.score, out=gap, where=~decoded.optimal)
            report["gap"][chunk.graphs] = gap
            sizes = np.diff(chunk.batch.node_ptr)
            report["seconds"][chunk.graphs] = seconds * sizes / max(sizes.sum(), 1)
            for graphs, plan in parts(chunk.plan):
                at = chunk.graphs.start + graphs
                report["backend"][at] = plan.name
                report["exact"][at] = plan.exact
                report["width"][at] = getattr(plan, "width", -1)
                report["entries"][at] = getattr(plan, "entries", 0)

        self._map_chunks(dataset, query)
        return report


def _concatenate(arrays, empty_shape):
    return np.concatenate([np.zeros(empty_shape), *arrays])

"""Networks in front of a chain: an epoch of Adam on OCR letters, and the same model written in torch."""

from functools import partial

import numpy as np

from benchmarks._measure import case
from benchmarks._sequences import letters
from benchmarks._training import with_objective
from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.features import NetworkFeatures
from skstruct.optim import Adam

HIDDEN, RATE = 128, 0.001


@case("Letters: an epoch of Adam with a network of 128 units")
def letters_epoch(run):
    """OCR letters, 128 pixels, 128 relu units: time of an epoch of Adam; asserted: torch's loss, gradient (1e-9).

    Torch uses one thread. Its forward algorithm computes a step of all words of a mini-batch by one matrix product.
    """
    problem = letters(run)
    given, y = problem.X, problem.y
    X = GraphDataset(given.node_features.toarray(), given.edges, node_ptr=given.node_ptr, edge_ptr=given.edge_ptr)
    for size in run.pick([4], [16, 128], [16, 128]):
        crf = GraphCRFClassifier(NetworkFeatures(HIDDEN), C=1.0, random_state=0)
        with_objective(crf, X, y, partial(_epochs, run, X, y, size))


def _epochs(run, X, y, batch_size, fun, coef):
    fun.batch_size = batch_size
    optimizer = Adam(learning_rate=RATE, random_state=0)
    engines = {"skstruct": lambda: optimizer.update(fun, coef)}
    value, gradient = fun(coef)
    step = np.random.default_rng(0).normal(size=len(coef))
    ahead, behind = (fun(coef + width * step)[0] for width in (1e-6, -1e-6))
    along = (ahead - behind) / 2e-6  # its error is that of the units whose inputs change their sign
    run.check("gradient along a direction", gradient @ step, along, atol=1e-3 * np.linalg.norm(gradient))
    torch = run.peer("torch", "torch")
    if torch is not None:
        torch.set_num_threads(1)
        double, single = (TorchCRF(torch, X, y, fun, coef, dtype) for dtype in (torch.float64, torch.float32))
        theirs, their_gradient = double.value_and_gradient()
        run.check("loss", value, theirs, rtol=1e-9)
        run.check("gradient", gradient, their_gradient, atol=1e-9 * abs(gradient).max())
        engines["torch, float64"] = lambda: double.epoch(batch_size)
        engines["torch, float32"] = lambda: single.epoch(batch_size)
    sizes = f"{X.n_nodes} letters, {len(coef)} weights, {fun.n_batches} mini-batches of {batch_size} words"
    taken = run.compare(f"epoch, {sizes}", engines)
    for name in list(engines)[1:]:
        run.goal(f"{name}, against skstruct, {sizes}", taken[name] / taken["skstruct"], at_least=1.0, goal=1.5)


class TorchCRF:
    """The same model and objective in torch, on padded words.

    Parameters
    ----------
    torch : module
    X : GraphDataset
        Chains with dense features.
    y : RaggedArray
    fun : TrainingLoss
    coef : ndarray
        ``[W_1, b_1, W_2, b_2, transitions]``.
    dtype : torch.dtype
    """

    def __init__(self, torch, X, y, fun, coef, dtype):
        self.torch, self.factor, self.coef = torch, fun.factor, coef
        codes, lengths = np.unique(y.values, return_inverse=True)[1], np.diff(X.node_ptr)
        word, place = (
            np.repeat(np.arange(len(lengths)), lengths),
            np.arange(X.n_nodes) - np.repeat(X.node_ptr[:-1], lengths),
        )
        self.n_states, shape = int(codes.max()) + 1, (len(lengths), lengths.max())
        features, labels = np.zeros((*shape, X.node_features.shape[1])), np.zeros(shape, np.int64)
        features[word, place], labels[word, place] = X.node_features, codes
        self.features, self.labels = torch.tensor(features, dtype=dtype), torch.tensor(labels)
        self.lengths = torch.tensor(lengths)
        parts, start, n_in, n = [], 0, features.shape[2], self.n_states
        for part in [(n_in, HIDDEN), (HIDDEN,), (HIDDEN, n), (n,), (n, n)]:
            stop = start + int(np.prod(part))
            parts.append(torch.tensor(coef[start:stop].reshape(part), dtype=dtype, requires_grad=True))
            start = stop
        self.parts, self.decay = parts, [float(fun.l2[0]) if part.ndim > 1 else 0.0 for part in parts]
        groups = [{"params": [part], "weight_decay": decay} for part, decay in zip(parts, self.decay)]
        self.optimizer = torch.optim.Adam(groups, lr=RATE)

    def loss(self, words):
        """Sum of the negative log-likelihoods of some words."""
        torch, (first, bias, second, last_bias, edge) = self.torch, self.parts
        lengths = self.lengths[words]
        longest = int(lengths.max())
        labels = self.labels[words, :longest]
        inside = torch.arange(longest) < lengths[:, None]
        scores = torch.relu(self.features[words, :longest] @ first + bias) @ second + last_bias
        total = (scores.gather(2, labels[:, :, None])[:, :, 0] * inside).sum()
        total = total + (edge[labels[:, :-1], labels[:, 1:]] * inside[:, 1:]).sum()
        shift = edge.max().detach()
        potential, log_message = (edge - shift).exp(), scores[:, 0]
        for t in range(1, longest):
            top = log_message.max(1, keepdim=True)[0].detach()
            sent = ((log_message - top).exp() @ potential).log() + top + shift + scores[:, t]
            log_message = torch.where(inside[:, t, None], sent, log_message)
        return torch.logsumexp(log_message, 1).sum() - total

    def value_and_gradient(self):
        """Objective and gradient at the weights, as those of skstruct."""
        for part in self.parts:
            part.grad = None
        value = self.factor * self.loss(self.torch.arange(len(self.lengths)))
        for part, decay in zip(self.parts, self.decay):
            value = value + 0.5 * decay * (part**2).sum()
        value.backward()
        return value.item(), np.concatenate([part.grad.numpy().ravel() for part in self.parts])

    def epoch(self, batch_size):
        """One pass over all words in mini-batches."""
        order = self.torch.randperm(len(self.lengths))
        n_batches = -(-len(order) // batch_size)
        for words in order.split(batch_size):
            self.optimizer.zero_grad()
            (n_batches * self.factor * self.loss(words)).backward()
            self.optimizer.step()

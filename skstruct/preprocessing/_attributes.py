"""AttributeVectorizer: sparse features of tokens that are described by lists of strings or by dicts."""

from collections import defaultdict
from itertools import chain, count, repeat
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted, check_scalar

from skstruct.components import require
from skstruct.data.number_arrays import require_dtype
from skstruct.data.packed_texts import pack_texts, unpack_texts
from skstruct.data.tables import is_frame
from skstruct.preprocessing._sequence_vectorizer import SequenceVectorizer, sparse_rows

COLLECTIONS = (list, tuple, set, frozenset, np.ndarray)


class AttributeVectorizer(SequenceVectorizer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Make chains of sequences of tokens that are described by attributes, as in other programs for sequences.

    A token is a list of strings or a dict from names to values. A string in a list is an attribute with the value 1. In
    a dict, as in `DictVectorizer`, ``{"w": "the"}`` is the attribute ``"w=the"`` with the value 1, and a number or a
    bool is the value of the attribute of that name. ``{"w": ["a", "b"]}`` means the attributes ``"w=a"`` and ``"w=b"``:
    the value may be a list, tuple, set or array of strings. It may also be a dict, whose names are appended:
    ``{"w": {"n": 2, "s": "a"}}`` means the attributes ``"w=n"`` with the value 2 and ``"w=s=a"``. If an attribute
    occurs twice in a token, its values are added.

    In a pipeline it replaces `SequencesToGraphs` and ``NodeTransformer(DictVectorizer())``. For dicts it computes the
    same features in about half of the time. It also supports lists of strings and a minimum count. If attributes are
    made of the columns of neighbouring tokens, `TokenTemplates` is several times faster still, since it makes no
    strings.

    Parameters
    ----------
    min_count : int, default=1
        Minimum number of occurrences of an attribute in the training data, by default with a value other than 0.
    dtype : dtype, default=np.float64
        Type of the features.
    separator : str, default="="
        Text between a name and a string in the attributes of dicts.
    keep_zeros : bool, default=False
        Whether attributes with the value 0, such as False, count as occurrences and are stored. CRFsuite creates
        weights for them.

    Attributes
    ----------
    vocabulary_ : dict
        Column of each attribute. Columns are in the order of first appearance.

    Raises
    ------
    TypeError
        If a token is neither a list nor a dict, or if an attribute has another type. The message names the sequence and
        the token.

    See Also
    --------
    TokenTemplates : It also makes the attributes.
    NodeTransformer : With `DictVectorizer`, for graphs of any kind.

    Notes
    -----
    Time is O(number of attributes). Each attribute is looked up in a dict, and an attribute of a dict needs a new
    string.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.preprocessing import AttributeVectorizer
    >>> sentences = [
    ...     [["w=the", "first"], ["w=dog", "w[-1]=the"], ["w=barks", "w[-1]=dog"]],
    ...     [["w=a", "first"], ["w=dog", "w[-1]=a"]],
    ... ]
    >>> y = [["DET", "NOUN", "VERB"], ["DET", "NOUN"]]
    >>> tagger = make_pipeline(AttributeVectorizer(), GraphCRFClassifier()).fit(sentences, y)
    >>> tagger.predict([[["w=a", "first"], ["w=cat", "w[-1]=a"]]]).tolist()
    [['DET', 'NOUN']]

    >>> vectorizer = AttributeVectorizer()
    >>> vectorizer.fit_transform([[{"w": "the", "length": 3, "first": True}, {"w": "dog", "length": 3}]])
    GraphDataset(n_graphs=1, n_nodes=2, n_edges=1, n_features=4)
    >>> vectorizer.get_feature_names_out().tolist()
    ['w=the', 'length', 'first', 'w=dog']
    """

    def __init__(self, min_count=1, dtype=np.float64, *, separator="=", keep_zeros=False):
        self.min_count = min_count
        self.dtype = dtype
        self.separator = separator
        self.keep_zeros = keep_zeros

    def _learn(self, stack):
        check_scalar(self.min_count, "min_count", Integral, min_val=1)
        require_dtype(self.dtype)
        require(self, "separator", isinstance(self.separator, str), "a string")
        names, values, ptr = _attributes(stack, self.separator)
        numbers: defaultdict = defaultdict(count().__next__)
        codes = np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))
        counts = np.bincount(codes[self._occurs(values)], minlength=len(numbers))
        kept = counts >= self.min_count
        columns = np.where(kept, np.cumsum(kept) - 1, -1)
        self.vocabulary_ = {name: column for name, column in zip(numbers, columns.tolist()) if column >= 0}
        return self._matrix(columns[codes], values, ptr)

    def _look_up(self, stack):
        names, values, ptr = _attributes(stack, self.separator)
        return self._matrix(
            np.fromiter(map(self.vocabulary_.get, names, repeat(-1)), np.int64, len(names)), values, ptr
        )

    def _occurs(self, values):
        return np.full(len(values), True) if self.keep_zeros else values != 0

    def _matrix(self, columns, values, ptr):
        """CSR matrix from the columns (-1: unknown) and values of the attributes of all tokens."""
        kept = (columns >= 0) & self._occurs(values)
        indptr = np.concatenate([[0], np.cumsum(kept)])[ptr]
        return sparse_rows(values[kept].astype(self.dtype), columns[kept], indptr, len(self.vocabulary_))

    def __getstate__(self):
        state = super().__getstate__()
        if "vocabulary_" in state:  # skops stores a dict of 100,000 strings in 25 MB, and needs seconds to load it
            state["vocabulary_"] = pack_texts(list(self.vocabulary_))
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "vocabulary_" in state:
            self.vocabulary_ = {name: column for column, name in enumerate(unpack_texts(*state["vocabulary_"]))}

    def get_feature_names_out(self, input_features=None):
        """Names of the features: the attributes.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects of shape (n_features,)
        """
        check_is_fitted(self)
        return np.array(list(self.vocabulary_), dtype=object)


def _attributes(stack, separator):
    """Names and values of the attributes of all tokens, and the offsets of tokens among them."""
    tokens = stack.tokens
    if is_frame(tokens):
        raise TypeError("X has tokens that are rows of a data frame; TokenTemplates or a NodeTransformer accepts these")
    are_dicts = len(tokens) > 0 and isinstance(tokens[0], dict)
    if are_dicts:
        stack.refuse_types(tokens, dict, "tokens must all be dicts, as the first one is")
    else:
        stack.refuse_types(tokens, (list, tuple), "a token is a list of strings, or all are dicts")
    ptr = np.concatenate([[0], np.cumsum(np.fromiter(map(len, tokens), np.intp, len(tokens)))])

    def owner(i):
        return int(np.searchsorted(ptr, i, side="right")) - 1

    names = list(chain.from_iterable(tokens))
    stack.refuse_types(names, str, "the name of an attribute must be a string", owner)
    if not are_dicts:
        return names, np.ones(len(names)), ptr
    values = list(chain.from_iterable(map(dict.values, tokens)))
    while any(issubclass(kind, dict) for kind in set(map(type, values))):
        names, values, ptr = _unnest(stack, names, values, ptr, owner, separator)
    problem = "the value of an attribute must be a string, a number, a bool, a list of strings or a dict of such values"
    stack.refuse_types(values, (str, Real, np.bool_, *COLLECTIONS), problem, owner)
    if any(issubclass(kind, COLLECTIONS) for kind in set(map(type, values))):
        names, values, ptr = _spread(stack, names, values, ptr, owner)
    names = [f"{name}{separator}{value}" if isinstance(value, str) else name for name, value in zip(names, values)]
    numbers = (1.0 if isinstance(value, str) else value for value in values)
    return names, np.fromiter(numbers, np.float64, len(values)), ptr


def _unnest(stack, names, values, ptr, owner, separator):
    """Write an attribute whose value is a dict as one attribute for each item of the dict."""
    sizes = [len(value) if isinstance(value, dict) else 1 for value in values]
    parents = np.repeat(np.arange(len(values)), sizes)
    keys = list(chain.from_iterable(value if isinstance(value, dict) else ("",) for value in values))
    stack.refuse_types(keys, str, "the name of an attribute must be a string", lambda j: owner(parents[j]))
    is_nested = np.fromiter((isinstance(value, dict) for value in values), bool, len(values))[parents]
    names = [
        f"{names[i]}{separator}{key}" if nested else names[i]
        for i, key, nested in zip(parents.tolist(), keys, is_nested.tolist())
    ]
    values = list(chain.from_iterable(value.values() if isinstance(value, dict) else (value,) for value in values))
    return names, values, np.concatenate([[0], np.cumsum(sizes)])[ptr]


def _spread(stack, names, values, ptr, owner):
    """Write an attribute whose value is a list of strings as one attribute for each string."""
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    lists = [i for i, value in enumerate(values) if isinstance(value, COLLECTIONS)]
    stack.refuse_types(
        list(chain.from_iterable(values[i] for i in lists)),
        str,
        "a list that is the value of an attribute must hold strings",
        lambda j: owner(np.repeat(lists, [len(values[i]) for i in lists])[j]),
    )
    groups = [sorted(value) if isinstance(value, set | frozenset) else value for value in values]  # same order always
    groups = [value if isinstance(value, COLLECTIONS) else (value,) for value in groups]
    sizes = list(map(len, groups))
    names = list(chain.from_iterable(map(repeat, names, sizes)))
    return names, list(chain.from_iterable(groups)), np.concatenate([[0], np.cumsum(sizes)])[ptr]

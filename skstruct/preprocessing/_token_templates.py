"""TokenTemplates: sparse binary features of tokens from their columns and those of their neighbours."""

import re
from copy import deepcopy
from dataclasses import replace
from numbers import Integral
from operator import itemgetter, methodcaller

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_scalar

from skstruct.data.number_arrays import require_dtype
from skstruct.data.structure import list_of
from skstruct.data.tables import is_frame
from skstruct.preprocessing._sequence_vectorizer import SequenceVectorizer, sparse_rows, stack_tokens
from skstruct.preprocessing._template_columns import Counts, Template, TemplateTables, TokenCodes, look_up, pack_rows
from skstruct.preprocessing._template_notation import CONSTANTS, DERIVATIONS, column_functions, parse_templates
from skstruct.preprocessing._token_codes import ColumnCodes, PairTable

MAX_FEATURES = 2**31 - 1


def _has_names(self):
    return self.n_bits is None


class TokenTemplates(SequenceVectorizer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Describe each token by templates such as "this word", "the previous two tags", "the last three letters".

    The input is a list of sequences. A token is a string if there is one column, otherwise a tuple or list with
    one string per column, or a dict from columns to strings; a sequence may also be an array of strings with one
    row per token. The output is a chain for each sequence, whose nodes have binary features. There is one feature for
    each combination of a template and strings that occurs in the training data.

    Each distinct string is analysed once; features are then computed from integers. For tokens that are already
    described by lists of strings or by dicts, use `AttributeVectorizer`.

    Parameters
    ----------
    templates : list of str
        A template is

        - ``"w[-1]"``: the column ``w`` of the previous token; ``"w[0]"`` is that of the token itself. A range,
          ``"w[-2..2]"``, stands for the five templates ``"w[-2]"`` to ``"w[2]"``.
        - ``"w.suffix(3)[0]"``: a derivation of a column. A range, ``"w.suffix(1..4)[0]"``, stands for one template for
          each length. The derivations are

          ==============  ==============================================================================
          ``lower``       in lower case
          ``shape``       upper case as X, lower case as x, digits as d, and no run longer than two:
                          ``"McDonald's"`` becomes ``"XxXxx'x"``
          ``prefix(k)``   the first k characters, if there are k
          ``suffix(k)``   the last k characters, if there are k
          ``digit``       True if there is a digit
          ``capital``     True if the first character is in upper case
          ``hyphen``      True if there is a hyphen
          ==============  ==============================================================================

        - ``"w[-1]|w[0]"``: a conjunction, with any number of terms. Its ranges advance together:
          ``"w[-1..0]|w[0..1]"`` stands for ``"w[-1]|w[0]"`` and ``"w[0]|w[1]"``.
        - ``"bias"``: always; ``"__BOS__"``: at the first token; ``"__EOS__"``: at the last token of a sequence.

        There is no feature if a term is outside of the sequence, or if it has no value.
    columns : list of str, default=("w",)
        Names of the columns of a token, in their order.
    min_count : int, default=1
        Minimum number of training tokens in which a feature must occur.
    n_bits : int, default=None
        None: a vocabulary is learnt, and features outside of it are left out. A number up to 30: features are hashed to
        ``2**n_bits`` columns. Hashing needs no memory for a vocabulary, also creates features that did not occur in
        training, and has no feature names. Features with the same column are added.
    derivations : dict, default=None
        Further derivations: functions of a string, and optionally of a number. The ``str`` of the result is the value;
        None means no value. A function is called once for each distinct string. A dict stands for its ``get``: with
        ``{"cluster": clusters}``, where `clusters` maps words to clusters, ``"w.cluster[-1]"`` is a template.
    dtype : dtype, default=np.float32
        Type of the features, which are all 1. `GraphCRFClassifier` computes the same with each type. With np.uint8, the
        features need 5 instead of 8 bytes each. In 8 bits, however, products of two feature matrices overflow.

    Attributes
    ----------
    templates_ : list of str
        Templates without ranges. Features are in the order of the templates, and for each template in the order of
        first appearance.

    Raises
    ------
    ValueError
        In ``fit``, if a template is malformed; the message names the template and the reason.
    TypeError
        If tokens are not as described; the message names the sequence and the token.

    See Also
    --------
    AttributeVectorizer : For tokens described by lists of strings or dicts.
    NodeTransformer : With `DictVectorizer` and others, for graphs of any kind.

    Notes
    -----
    Time is O(n_tokens * n_templates), plus a look-up of each string of each token in a dict. Temporary memory is 4
    bytes for each token and template, and 8 bytes for each token and distinct term. A vocabulary needs about 20 bytes
    per feature. Vocabularies are exact: conjunctions are found in hash tables that compare the codes of their terms.
    Common templates for a window of words and tags are those of [1]_.

    References
    ----------
    .. [1] F. Sha, F. Pereira, "Shallow parsing with conditional random fields", HLT-NAACL 2003.

    Examples
    --------
    A tagger for plain strings:

    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.preprocessing import TokenTemplates
    >>> sentences = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cat", "walks"]]
    >>> y = [["DET", "NOUN", "VERB"]] * 3
    >>> templates = ["w[-1..1]", "w[-1]|w[0]", "w.suffix(1..2)[0]", "__BOS__"]
    >>> tagger = make_pipeline(TokenTemplates(templates), GraphCRFClassifier()).fit(sentences, y)
    >>> tagger.predict([["a", "dog", "talks"]]).tolist()
    [['DET', 'NOUN', 'VERB']]

    Two columns, and the features of the second token:

    >>> tagged = [[("the", "DT"), ("dog", "NN")], [("dogs", "NNS")]]
    >>> vectorizer = TokenTemplates(["w.shape[0]", "pos[-1..0]", "pos[-1]|w[0]"], columns=["w", "pos"])
    >>> dataset = vectorizer.fit_transform(tagged)
    >>> dataset
    GraphDataset(n_graphs=2, n_nodes=3, n_edges=1, n_features=6)
    >>> vectorizer.get_feature_names_out()[dataset.node_features[[1]].indices].tolist()
    ['w.shape[0]=xx', 'pos[-1]=DT', 'pos[0]=NN', 'pos[-1]|w[0]=DT|dog']
    """

    def __init__(self, templates, columns=("w",), min_count=1, n_bits=None, derivations=None, dtype=np.float32):
        self.templates = templates
        self.columns = columns
        self.min_count = min_count
        self.n_bits = n_bits
        self.derivations = derivations
        self.dtype = dtype

    def partial_fit(self, X, y=None):
        """Add the features of more sequences to the vocabulary.

        The result is that of `fit` on the sequences of all calls. The columns of features that are known already can
        change, because features are in the order of the templates. If ``min_count`` is larger than 1, 16 bytes are kept
        for each feature that has occurred, including rare ones, also in a pickle.

        Parameters
        ----------
        X : list of sequences of tokens, or GraphDataset
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``templates`` or ``n_bits`` differ from those of the earlier calls, or if ``min_count`` is larger than 1
            and the earlier calls have not counted, as `fit` and calls with ``min_count=1`` do not.
        """
        self._learn(stack_tokens(X), continued=hasattr(self, "_templates"), counting=True)
        return self

    def _learn(self, stack, *, continued=False, counting=False):
        """Learn the vocabulary; if `continued`, in addition to what is known."""
        columns = self._check_parameters()
        derivations = {**DERIVATIONS, **(self.derivations or {})}
        parsed = parse_templates(self.templates, columns, derivations)
        hashed = self.n_bits is not None
        functions = column_functions(parsed.values(), derivations)
        if continued:
            codes, known = self._known(parsed)
        else:
            codes = {name: ColumnCodes(name, used, hashed) for name, used in functions.items()}
            known = [None] * len(parsed)
        stack, readers = _read_tokens(stack, columns)
        if not hashed:
            for name, column in codes.items():
                column.learn(stack, readers[name], functions[name])
        encoded = _encode(stack, readers, codes, lambda: functions)
        token_codes = TokenCodes(encoded, stack.ptr)
        table = np.empty((len(token_codes), len(parsed)), np.int32)
        found, n_features, counting = [], 0, counting and self.min_count > 1
        for t, terms in enumerate(parsed.values()):
            if hashed:
                template = Template.hashed(terms, self.n_bits)
                table[:, t] = template.columns(token_codes)
            else:
                template, table[:, t] = Template.learn(
                    terms, token_codes, self.min_count, n_features, known[t], counting=counting
                )
                n_features += len(template.tables[-1].keys)
            found.append(template)
        if n_features > MAX_FEATURES:
            raise ValueError(f"{n_features} features are too many for 32-bit indices; raise min_count, or set n_bits")
        self.templates_ = list(parsed)
        self._n_features_out = 2**self.n_bits if hashed else n_features
        self._columns, self._codes, self._templates = columns, codes, found
        self._derivations = dict(self.derivations or {})
        self._join_tables()
        return self._matrix(table)

    def _known(self, parsed):
        """Codes and templates of the earlier calls; parameters that do not fit to them are refused."""
        if self.templates_ != list(parsed):
            raise ValueError("the templates differ from those of the earlier calls of partial_fit")
        n_bits = self._templates[0].tables[-1].n_bits or None
        if n_bits != self.n_bits:
            raise ValueError(f"n_bits={self.n_bits} differs from that of the earlier calls of partial_fit, {n_bits}")
        if self.min_count > 1 and self._templates[0].counts is None:
            raise ValueError(
                f"partial_fit with min_count={self.min_count} needs the counts of all earlier features. fit, and "
                "partial_fit with min_count=1, do not keep them. Begin with partial_fit of a clone."
            )
        return deepcopy(self._codes), self._templates

    def _look_up(self, stack):
        stack, readers = _read_tokens(stack, self._columns)
        encoded = _encode(stack, readers, self._codes, self._functions)
        codes = np.stack(list(encoded.values())) if encoded else np.zeros((0, stack.ptr[-1]), np.int64)
        indices = np.empty(codes.shape[1] * len(self._templates), np.int32)
        indptr = np.zeros(codes.shape[1] + 1, np.int64)
        with np.errstate(over="ignore"):  # hashes overflow, seen with NUMBA_DISABLE_JIT=1 only
            look_up(codes, stack.ptr, self._tables, indices, indptr)
        return self._rows(indices[: indptr[-1]], indptr)

    def _functions(self):
        """Functions that derive from each column what the templates use; see `column_functions`."""
        return column_functions((t.terms for t in self._templates), {**DERIVATIONS, **self._derivations})

    def _join_tables(self):
        keys = (key for column in self._codes.values() for key in column.texts)
        self._tables = TemplateTables.of(self._templates, {key: row for row, key in enumerate(keys)})

    def __getstate__(self):
        """Arrays and strings in place of tables and dicts: for skops, and for short files."""
        state = super().__getstate__()
        if not hasattr(self, "_templates"):
            return state
        keys = [table.keys for template in self._templates for table in template.tables if not table.n_bits]
        state["_vocabulary"] = {
            "columns": {name: column.packed() for name, column in self._codes.items()},
            "keys": np.concatenate([np.zeros(0, np.int64), *keys]),
            "sizes": np.array(list(map(len, keys)), np.int64),
        }
        counts = [template.counts for template in self._templates if template.counts is not None]
        if counts:
            state["_vocabulary"]["counts"] = {
                **{name: np.concatenate([getattr(found, name) for found in counts]) for name in Counts._fields},
                "sizes": np.array([len(found.keys) for found in counts], np.int64),
            }
        return {key: value for key, value in state.items() if key not in ("_tables", "_templates", "_codes")}

    def __setstate__(self, state):
        super().__setstate__({key: value for key, value in state.items() if key != "_vocabulary"})
        if "_vocabulary" not in state:
            return
        vocabulary = state["_vocabulary"]
        parsed = parse_templates(self.templates_, self._columns, {**DERIVATIONS, **self._derivations})
        if list(parsed) != self.templates_:
            raise ValueError("the state of TokenTemplates is damaged: it has other templates")
        self._codes = {name: ColumnCodes.of_packed(name, packed) for name, packed in vocabulary["columns"].items()}
        if not len(vocabulary["sizes"]):
            n_bits = self._n_features_out.bit_length() - 1
            self._templates = [Template.hashed(terms, n_bits) for terms in parsed.values()]
        else:
            keys = iter(_split(vocabulary["keys"], vocabulary["sizes"]))
            all_counts = _unpacked_counts(vocabulary.get("counts"), len(parsed))
            self._templates, n_features = [], 0
            for terms, counts in zip(parsed.values(), all_counts):
                tables = [PairTable(next(keys)) for _ in terms]
                self._templates.append(Template(terms, tables, first_column=n_features, counts=counts))
                n_features += len(tables[-1].keys)
            if n_features != self._n_features_out:
                raise ValueError("the state of TokenTemplates is damaged: it has another number of features")
        self._join_tables()

    def _matrix(self, columns):
        """CSR matrix from the columns of each token and template, -1 where there is no feature."""
        indices = np.empty(np.count_nonzero(columns >= 0), np.int32)
        indptr = np.zeros(len(columns) + 1, np.int64)
        pack_rows(columns, indices, indptr)
        return self._rows(indices, indptr)

    def _rows(self, indices, indptr):
        # the columns of each template are greater than those of the template before it, unless they are hashed
        return sparse_rows(
            np.ones(len(indices), self.dtype), indices, indptr, self._n_features_out, is_sorted=self.n_bits is None
        )

    def _check_parameters(self):
        """Return the names of the columns."""
        columns = [self.columns] if isinstance(self.columns, str) else list_of("columns", self.columns)
        odd = [
            name for name in columns if not isinstance(name, str) or not re.fullmatch(r"\w+", name) or name in CONSTANTS
        ]
        if odd or not columns or len(set(columns)) < len(columns):
            raise ValueError(
                "columns must be different names of letters, digits and underscores, not one of "
                f"{', '.join(CONSTANTS)}; got {self.columns!r}"
            )
        if self.derivations is not None and not isinstance(self.derivations, dict):
            raise TypeError(f"derivations must be None or a dict of functions, got {self.derivations!r}")
        for name, function in (self.derivations or {}).items():
            if not (callable(function) or isinstance(function, dict)):
                raise TypeError(f"derivations[{name!r}] must be a function or a dict, got {function!r}")
        require_dtype(self.dtype)
        check_scalar(self.min_count, "min_count", Integral, min_val=1)
        if self.n_bits is not None:
            check_scalar(self.n_bits, "n_bits", Integral, min_val=1, max_val=30)
            if self.min_count > 1:
                raise ValueError(f"min_count={self.min_count} needs a vocabulary; leave n_bits at None")
        return columns

    @available_if(_has_names)
    def get_feature_names_out(self, input_features=None):
        r"""Names of the features, such as ``"w[-1]|w[0]=the|dog"``; not with `n_bits`.

        Names are unique: if a string of a conjunction contains ``"|"``, each ``"|"`` and ``"\\"`` in its strings is
        preceded by ``"\\"``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects of shape (n_features,)
        """
        check_is_fitted(self)
        texts = {
            key: np.array(list(codes), dtype=np.object_)
            for column in self._codes.values()
            for key, codes in column.texts.items()
        }
        return np.array([name for template in self._templates for name in template.names(texts)], dtype=np.object_)


def _split(keys, sizes):
    """Split an array into arrays of the given sizes, which may come from a damaged file."""
    if keys.dtype != np.int64 or (sizes < 0).any() or sizes.sum() != len(keys):
        raise ValueError("the state of TokenTemplates is damaged: its tables do not have the given sizes")
    return np.split(keys, np.cumsum(sizes)[:-1])


def _unpacked_counts(packed, n_templates):
    """Counts of each template, or None, from arrays of all templates, which may come from a damaged file."""
    if packed is None:
        return [None] * n_templates
    counts = [Counts(*parts) for parts in zip(*(_split(packed[name], packed["sizes"]) for name in Counts._fields))]
    if len(counts) != n_templates:
        raise ValueError("the state of TokenTemplates is damaged: it has counts of other templates")
    return counts


def _encode(stack, readers, codes, functions):
    """Encode all columns of the tokens: a dict from the `source` of each term to its codes."""
    found: dict = {}
    for name, column in codes.items():
        found |= column.encode(stack, readers[name], lambda name=name: functions()[name])
    return found


def _read_tokens(stack, columns):
    """Check the types of the tokens, and find how to read each of their columns.

    Returns
    -------
    stack : TokenStack
        With tuples in place of the rows of a data frame.
    readers : dict
        Maps the name of a column to a function of a token.

    Raises
    ------
    TypeError, ValueError
        If a token has another type than the first one, or lacks a column. The message names the token.
    """
    tokens = stack.tokens
    if is_frame(tokens):
        missing = [name for name in columns if name not in list(tokens.columns)]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}; its columns are {list(tokens.columns)}")
        tokens = list(zip(*(tokens[name] for name in columns)))
        stack = replace(stack, tokens=tokens)
    if len(tokens) and isinstance(tokens[0], dict):
        stack.refuse_types(tokens, dict, "tokens must all be dicts, as the first one is")
        return stack, {name: methodcaller("get", name) for name in columns}
    if len(columns) == 1 and len(tokens) and isinstance(tokens[0], str):
        stack.refuse_types(tokens, str, "tokens must all be strings, as the first one is")
        return stack, {columns[0]: str}
    problem = f"a token is a tuple of {len(columns)} strings: {', '.join(columns)}"
    stack.refuse_types(tokens, (tuple, list), problem)
    if set(map(len, tokens)) - {len(columns)}:
        i = next(i for i, token in enumerate(tokens) if len(token) != len(columns))
        raise ValueError(f"{stack.place(i)}: got {tokens[i]!r}; {problem}")
    return stack, {name: itemgetter(j) for j, name in enumerate(columns)}

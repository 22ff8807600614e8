"""Readers of annotated sentences: column files of the CoNLL shared tasks, and CoNLL-U files with dependency trees."""

import io
from collections.abc import Sequence
from os import PathLike
from typing import TextIO

from skstruct.data.dataset import GraphDataset
from skstruct.data.optional import optional_module
from skstruct.data.ragged import RaggedArray
from skstruct.data.structure import offsets
from skstruct.io._text_tokens import read_text
from skstruct.io.token_lines import blocks_of, cells_of, next_place

UNSPECIFIED = "_"  # the value of an empty column of a CoNLL-U file
WORDS = ("form", "lemma")  # columns in which "_" can also be a word


def read_conll(
    file: str | PathLike | TextIO, columns: Sequence[str], *, target: str | None
) -> tuple[GraphDataset, RaggedArray | None]:
    r"""Read sentences from a column file, as in the shared tasks CoNLL-2000 to CoNLL-2003.

    A line contains the columns of one token, separated by spaces or tabs. An empty line ends a sentence, and so does a
    line that starts with ``-DOCSTART-``, which is left out. There are no comments, because ``#`` can be a token. CRF++
    and Wapiti use the same format.

    Parameters
    ----------
    file : path or text file
        In UTF-8.
    columns : list of str
        Names of all columns of the file, in their order.
    target : str or None
        The column that contains the labels. None: `y` is None.

    Returns
    -------
    X : GraphDataset
        A chain for each sentence. A node is a dict from the other columns to strings. `TokenTemplates` and
        `AttributeVectorizer` accept such nodes, and so does `DictVectorizer` in a `NodeTransformer`.
    y : RaggedArray or None
        Labels.

    Raises
    ------
    ValueError
        If a line has another number of columns. The message names the file and the line.

    See Also
    --------
    read_conllu : for treebanks.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_conll
    >>> text = "Confidence NN B-NP\nin IN B-PP\n\nChancellor NNP O\n"
    >>> X, y = read_conll(io.StringIO(text), ["word", "pos", "chunk"], target="chunk")
    >>> X
    GraphDataset(n_graphs=2, n_nodes=3, n_edges=1)
    >>> X[0].node_features
    [{'word': 'Confidence', 'pos': 'NN'}, {'word': 'in', 'pos': 'IN'}]
    >>> y.tolist()
    [['B-NP', 'B-PP'], ['O']]
    """
    columns = _names(columns)
    if target is not None and (not isinstance(target, str) or target not in columns):
        raise ValueError(f"target must be one of the columns {columns} or None, got {target!r}.")
    name, text = read_text(file)
    # not splitlines: a word may contain a line separator
    numbered = ((f"{name}, line {number}", line) for number, line in enumerate(text.split("\n"), start=1))
    sentences = []
    for place, lines in blocks_of(numbered):
        sentence = []
        for i, words in enumerate(map(cells_of, lines)):
            if len(words) != len(columns):
                raise ValueError(
                    f"{next_place(place, i)}: expected {len(columns)} columns ({', '.join(columns)}), "
                    f"got {len(words)}: {lines[i].strip():.100}"
                )
            sentence.append(dict(zip(columns, words)))
        sentences.append(sentence)
    return _packed(sentences, target, name)


def read_conllu(
    file: str | PathLike | TextIO,
    *,
    columns: Sequence[str] = ("form",),
    target: str | None = "upos",
    edges: str = "chain",
) -> tuple[GraphDataset, RaggedArray | None]:
    r"""Read sentences from a CoNLL-U file, the format of the treebanks of Universal Dependencies.

    The library conllu reads the file: ``pip install "skstruct[conllu]"``. Words that tokens are contracted to, such as
    ``1-2``, and the empty nodes of enhanced dependencies, such as ``8.1``, are left out. In a file of the format
    CoNLL-U Plus, the columns have the names in its first line, in lower case.

    Parameters
    ----------
    file : path or text file
        In UTF-8.
    columns : list of str, default=("form",)
        Columns that describe a token: some of "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps" and
        "misc".
    target : str or None, default="upos"
        The column that contains the labels. None: `y` is None.
    edges : {"chain", "head"}, default="chain"
        The edges. "chain" joins each token to the next one. "head" joins the head of each token to the token, which
        makes a tree of each sentence. The trees are annotations too: for other sentences they come from a parser.

    Returns
    -------
    X : GraphDataset
        A graph for each sentence. A node is a dict from `columns` to strings, without columns that are not specified
        (``_``). `TokenTemplates` and `AttributeVectorizer` accept such nodes, and so does `DictVectorizer` in a
        `NodeTransformer`.

        With ``edges="head"``, an edge is a dict, which `DictVectorizer` in an `EdgeTransformer` accepts. Its keys are
        "deprel", the relation; "direction", "left" if the token precedes its head and otherwise "right"; and
        "distance", the number of tokens from one to the other.
    y : RaggedArray or None
        Labels. A label that is not specified is None; see `missing_label` of `GraphCRFClassifier`.

    Raises
    ------
    ImportError
        If conllu is not installed.
    ValueError
        If the file is malformed, if a token lacks a column or a head, or if heads are a cycle. The message names the
        file, the sentence (counted from 0) and the token.

    See Also
    --------
    read_conll : for other column files.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_conllu
    >>> lines = ["1 The the DET _ _ 2 det _ _", "2 dog dog NOUN _ _ 3 nsubj _ _", "3 barks bark VERB _ _ 0 root _ _"]
    >>> text = "\n".join(lines).replace(" ", "\t")
    >>> X, y = read_conllu(io.StringIO(text), columns=["form", "lemma"])
    >>> X[0].node_features[2], y.tolist()
    ({'form': 'barks', 'lemma': 'bark'}, [['DET', 'NOUN', 'VERB']])
    >>> X, y = read_conllu(io.StringIO(text), edges="head")
    >>> X[0].edges.tolist()
    [[1, 0], [2, 1]]
    >>> X[0].edge_features[0]
    {'deprel': 'det', 'direction': 'left', 'distance': 1}
    """
    conllu = optional_module("conllu", "conllu", "read_conllu")
    columns = _names(columns)
    if target is not None and not isinstance(target, str):
        raise ValueError(f"target must be the name of a column or None, got {target!r}.")
    if not isinstance(edges, str) or edges not in ("chain", "head"):
        raise ValueError(f"edges must be 'chain' or 'head', got {edges!r}.")
    name, text = read_text(file)
    parsers = dict.fromkeys(conllu.parser.DEFAULT_FIELDS, _as_it_is)
    parsers |= {key: conllu.parser.DEFAULT_FIELD_PARSERS[key] for key in ("id", "head")}
    sentences = []
    try:
        for tokens in conllu.parse_incr(io.StringIO(text), field_parsers=parsers):
            sentences.append([token for token in tokens if isinstance(token.get("id", 0), int)])
    except conllu.exceptions.ParseException as error:
        raise ValueError(f"{name}, sentence {len(sentences)}: {error}") from error
    sentences = [tokens for tokens in sentences if tokens]
    trees = [_tree(tokens, f"{name}, sentence {s}") for s, tokens in enumerate(sentences)] if edges == "head" else None
    wanted = columns if target is None or target in columns else [*columns, target]
    rows = [
        [_row(token, wanted, f"{name}, sentence {s}, token {t}") for t, token in enumerate(tokens)]
        for s, tokens in enumerate(sentences)
    ]
    X, y = _packed(rows, target, name, keep_target=target in columns)
    if trees is None:
        return X, y
    pairs = [edge for tree in trees for edge, _ in tree]
    relations = [relation for tree in trees for _, relation in tree]
    return GraphDataset(X.node_features, pairs, relations, X.node_ptr, offsets(list(map(len, trees)))), y


def _as_it_is(values, i):
    return values[i]


def _names(columns):
    """Check the names of columns."""
    try:
        names = [None] if isinstance(columns, str) else list(columns)
    except TypeError:  # no list, or an array without dimensions
        names = [None]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"columns must be a list of different names, got {columns!r}.")
    return names


def _row(token, columns, place):
    """Columns of a token that are specified."""
    missing = [column for column in columns if column not in token]
    if missing:
        raise ValueError(f"{place} has no column {missing[0]!r}; its columns are {list(token)}.")
    return {c: str(token[c]) for c in columns if c in WORDS or token[c] not in (None, UNSPECIFIED)}


def _tree(tokens, place):
    """Edges from heads to tokens, and their features."""
    position: dict[int, int] = {}
    for t, token in enumerate(tokens):
        if position.setdefault(token.get("id"), t) != t:
            raise ValueError(f"{place}, token {t}: an earlier token has the same number, {token.get('id')!r}.")
    tree = []
    for t, token in enumerate(tokens):
        head = token.get("head")
        if head == 0:
            continue
        if head not in position or position[head] == t:
            raise ValueError(f"{place}, token {t}: the head must be 0 or the number of another token, got {head!r}.")
        side = "left" if t < position[head] else "right"
        relation = _row(token, ["deprel"] if "deprel" in token else [], place)
        tree.append(((position[head], t), {**relation, "direction": side, "distance": abs(position[head] - t)}))
    _refuse_cycle({child: parent for (parent, child), _ in tree}, place)
    return tree


def _refuse_cycle(heads, place):
    """Raise a ValueError if a token is above its own head."""
    in_trees: set[int] = set()
    for t in heads:
        path: dict[int, None] = {}  # in the order of the tokens
        while t in heads and t not in in_trees:
            if t in path:
                cycle = ", ".join(map(str, list(path)[list(path).index(t) :]))
                raise ValueError(f"{place}, token {t}: the heads are a cycle of the tokens {cycle}.")
            path[t] = None
            t = heads[t]
        in_trees.update(path)


def _packed(sentences, target, name, keep_target=False):
    """Chains of the tokens, which are dicts, and the values of the target."""
    if not sentences:
        raise ValueError(f"{name} has no sentences.")
    if target is None:
        return GraphDataset.from_sequences(sentences), None
    take = dict.get if keep_target else dict.pop
    y = RaggedArray.from_list([[take(token, target, None) for token in sentence] for sentence in sentences])
    return GraphDataset.from_sequences(sentences), y

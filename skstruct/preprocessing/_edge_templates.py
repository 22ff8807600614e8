"""EdgeTemplates: edge features from the columns of tokens, so that transitions depend on the tokens."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skstruct.data.dataset import GraphDataset
from skstruct.estimator.callbacks import one_task
from skstruct.preprocessing._sequence_vectorizer import SequenceVectorizer, stack_tokens
from skstruct.preprocessing._token_templates import TokenTemplates


class EdgeTemplates(SequenceVectorizer, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Describe each edge by templates of the token at its end.

    With these edge features, the scores of pairs of labels depend on the tokens. In a chain, the token at the end of an
    edge is the second one. The tokens remain the node features: put this transformer before `TokenTemplates`, which
    describes the tokens. There is a matrix of weights for each edge feature. Few templates with few distinct values are
    therefore usual, such as ``["bias", "pos[0]"]``. Without the template "bias" there are no transitions that are equal
    for all tokens.

    Parameters
    ----------
    templates : list of str
        As those of `TokenTemplates`. ``"w[0]"`` is the token at the end of the edge.
    columns : list of str, default=("w",)
        Names of the columns of a token, in their order.
    min_count : int, default=1
        Minimum number of training tokens in which a feature must occur.

    Attributes
    ----------
    vectorizer_ : TokenTemplates
        Fitted to the tokens.

    Raises
    ------
    ValueError
        In ``fit``, if a template is malformed. In ``fit`` and ``transform``, if edges have features already.
    TypeError
        If tokens are not as `TokenTemplates` describes them.

    See Also
    --------
    EdgeFeatures : Edge features from numeric features of nodes.

    Notes
    -----
    A linear map has ``n_edge_features * n_classes**2`` edge weights.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.preprocessing import EdgeTemplates, TokenTemplates
    >>> sentences = [[("the", "DT"), ("dog", "NN")], [("dogs", "NNS")], [("a", "DT"), ("cat", "NN")]]
    >>> y = [["B", "I"], ["B"], ["B", "I"]]
    >>> columns = ["w", "pos"]
    >>> tagger = make_pipeline(
    ...     EdgeTemplates(["bias", "pos[0]"], columns), TokenTemplates(["w[0]"], columns), GraphCRFClassifier()
    ... ).fit(sentences, y)
    >>> tagger.predict([[("the", "DT"), ("mouse", "NN")]]).tolist()
    [['B', 'I']]
    >>> tagger[0].get_edge_feature_names_out().tolist()
    ['bias', 'pos[0]=DT', 'pos[0]=NN', 'pos[0]=NNS']
    """

    def __init__(self, templates: Sequence[str], columns: Sequence[str] = ("w",), min_count: int = 1):
        self.templates = templates
        self.columns = columns
        self.min_count = min_count

    @one_task
    def fit_transform(self, X, y=None):
        """Learn the vocabulary and transform, in one pass.

        Parameters
        ----------
        X, y :
            As for `fit`.

        Returns
        -------
        GraphDataset
            As `transform` returns it.
        """
        vectorizer = TokenTemplates(self.templates, self.columns, self.min_count)
        dataset = _with_edge_features(X, vectorizer.fit_transform)
        self.vectorizer_ = vectorizer
        return dataset

    def transform(self, X):
        """Make chains of the tokens, and describe their edges.

        Parameters
        ----------
        X : list of sequences of tokens, or GraphDataset
            As for `TokenTemplates`. A GraphDataset keeps its edges.

        Returns
        -------
        GraphDataset
            Its `edge_features` are a CSR array, and its `node_features` are the tokens.
        """
        check_is_fitted(self)
        return _with_edge_features(X, self.vectorizer_.transform)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of the tokens, which this transformer does not change.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects of shape (n_columns,)
        """
        return np.array([self.columns] if isinstance(self.columns, str) else list(self.columns), dtype=object)

    def get_edge_feature_names_out(self, input_features=None):
        """Names of the edge features, such as ``"pos[0]=NN"``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects of shape (n_edge_features,)
        """
        check_is_fitted(self)
        return self.vectorizer_.get_feature_names_out()


def _with_edge_features(X, describe):
    """Dataset of the tokens; the features of an edge are those that `describe` computes for the token at its end."""
    described = describe(X)
    if described.edge_features is not None:
        raise ValueError("X has edge features already; EdgeTemplates expects edges without features")
    if not isinstance(X, GraphDataset):
        tokens = stack_tokens(X).tokens
        is_tuple = len(tokens) and not isinstance(tokens[0], str | dict)
        X = described.with_node_features(np.array(tokens, dtype=object) if is_tuple else tokens)
    return X.with_edge_features(described.node_features[described.topology.edges[:, 1]])

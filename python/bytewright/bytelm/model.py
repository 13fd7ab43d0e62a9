"""A model of tokens as a model of bytes.

For bytes x, P(x) is a sum over the *cover* of x: the sequences of tokens whose bytes begin with x and
do so only with their last token. Which of them count is the semantics:

| name | sequences | sum over the next byte |
|---|---|---|
| `"all"` | all of them (Vieira et al. 2025, "From Language Models over Tokens to Language Models over Characters") | P(x) |
| `"valid"` | those with which the encoding of some text begins (Phan et al. 2025, "Exact Byte-Level Probabilities from Tokenized Language Models") | at most P(x): the rest is lost mass |
| `"fast"` | the same, but for the last token, which may be any | at most P(x) |
| `"local"` | those of `"valid"`, each token's probability being its share among the tokens that keep the sequence valid (Vieira et al. 2025, "Language Models over Canonical Byte-Pair Encodings") | P(x) |

Where the model gives no probability to sequences that its tokenizer never makes, all four agree.
Of `"all"` there are more with each byte, and texts of some twenty bytes may have too many of them. Under a model
that says its `reach`, as n-gram models do, those that end at the same byte with the same last ids go on alike
and are added up as one: a text of any length is exact then, in time that grows with it, at as many contexts a
byte as there are ways to end in so many tokens. (Pruning saves hardly any of these.)
What a text that goes on may be cut into is decided by the pre-tokenizer's own automaton, whatever its
pattern, so that no sequence is missed or counted that should not be, even where it cuts characters apart.
Where a pattern cuts texts, a text is UTF-8, of characters that have tokens: other bytes are for `"all"`.
Tokenizers that mark the ends of words in their tokens are for `"all"` too, since no text has such marks, and
so are those that do more than merge by rank.

The text is that behind the tokenizer's normalizer, but for a space that it puts before every text and decoding
takes away, as SentencePiece does: probabilities are given that space, and so of no text that begins with an
added token instead. Text that stands behind a prompt of ids goes on there, also inside a character, and
is given none. Special tokens are never text: where they are not the end of the text, their probability
is lost mass. Added tokens that are not special are text, and stand where they are found in a text before a
pattern cuts it; the text behind one begins with a space where the tokenizer puts one there, and white space
that one takes along is no part of the text. Tokenizers with added tokens that are only found where no word
goes on beside them are for `"all"`.
"""  # noqa: E501

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright import _core, arguments
from bytewright.bytelm.arguments import check_share, text_bytes
from bytewright.bytelm.fim import FimFormat, FimPrompt, fim_format
from bytewright.bytelm.infilling import InfillingPredictor
from bytewright.bytelm.progress import ByteProgress, Tell
from bytewright.bytelm.protocol import BytePlace, Goal
from bytewright.bytelm.rows import Rows
from bytewright.bytelm.scoring import ScoringPredictor
from bytewright.bytelm.state import ByteState
from bytewright.models import PromptedModel, TokenModel
from bytewright.models.protocol import begun_of, check_model, clear, generation_of
from bytewright.sizes import byte_size

__all__ = ["ByteModel", "Semantics"]

Semantics = Literal["all", "valid", "fast", "local"]

# Bytes of a text that are scored at a time: the rows of their contexts are asked for together.
_WINDOW = 256


class ByteModel(InfillingPredictor, ScoringPredictor):
    """Exact probabilities of bytes from any model of tokens.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab", special_tokens=["<eos>"])
    >>> def always_ab(contexts):
    ...     return np.log(np.tile([0.25, 0.25, 0.25, 0.25], (len(contexts), 1)))
    >>> model = bw.ByteModel(bw.CallableModel(tok, always_ab, eos_id=3), semantics="all")
    >>> state = model.start(b"a")
    >>> round(float(np.exp(state.logprob)), 4)  # "a" begins the tokens "a" and "ab".
    0.5
    >>> round(float(state.next().probs[ord("b")]), 4)  # From "ab", and from "a" with "b" behind it.
    0.625
    """

    __slots__ = (
        *("_epsilon", "_goes_on", "_memory", "_model"),
        *("_rows", "_semantics", "_vocab", "_vocabs"),
    )

    def __init__(
        self,
        model: TokenModel,
        *,
        semantics: Semantics = "valid",
        epsilon: float = 0.0,
        memory: int | str = "256MB",
    ) -> None:
        """Take a model of tokens.

        Args:
            model: anything with `tokenizer`, `eos_id` and `logprobs`; its rows may hold logits as
                well, which are normalised over the ids of the vocabulary and `eos_id`.
            semantics: which sequences of tokens count; see the module.
            epsilon: a context is not asked for while what it could add is below this share of the
                probability; `ByteDistribution.error_bound` certifies what that may have changed.
                `next` may miss bytes then that are unlikely and not impossible; to know how likely
                a text is, ask `logprob` or `score`, which are too small by this share of each
                probability at most. 0 asks for every context.
            memory: bytes of rows that are kept for texts that begin alike; those of a text that is
                scored as long as there is room. A search, like `infill`, holds some 64 rows
                besides, and asks again for others that it comes back to.

        Raises:
            ArgumentError: an unknown semantics, `epsilon` not in 0.0 <= epsilon < 1.0, or a
                tokenizer of which it is not known what it makes of a text that goes on (semantics
                `"all"` takes any).
            ArgumentTypeError: no model of tokens, or an argument of another type.
        """
        check_model(model)
        check_share(epsilon, "epsilon")
        arguments.text(semantics, "semantics")
        self._semantics, self._epsilon = semantics, float(epsilon)
        self._memory = byte_size(memory, "memory")
        self._vocabs: dict[int | None, _core.ByteVocab] = {}
        self._take(model)

    def _take(self, model: TokenModel) -> None:
        # Sorting a vocabulary takes longer than anything else here, so models of bytes whose
        # tokenizer is the same share what they sorted.
        vocab = self._vocabs.get(model.eos_id)
        if vocab is None:
            ends = [] if model.eos_id is None else [model.eos_id]
            vocab = _core.ByteVocab(model.tokenizer._core, ends, self._semantics)
            self._vocabs[model.eos_id] = vocab
        self._model, self._vocab = model, vocab
        self._goes_on = begun_of(model)
        self._rows = Rows(model, vocab.width, self._memory)

    @property
    def model(self) -> TokenModel:
        """The model of tokens."""
        return self._model

    @property
    def semantics(self) -> Semantics:
        """Which sequences of tokens count."""
        return self._semantics

    @property
    def epsilon(self) -> float:
        """The share below which a context is not asked for."""
        return self._epsilon

    @property
    def generation(self) -> object:
        """Which rows the model gives, as `TokenModel` has it."""
        return generation_of(self._model)

    @property
    def goes_on(self) -> bool:
        """Whether texts go on with what the model of tokens stands behind."""
        return self._goes_on is not None

    @property
    def begun(self) -> bytes:
        """The bytes of a character that such a text before ends inside of."""
        return self._goes_on or b""

    @property
    def contexts(self) -> int:
        """How many contexts the model was asked for so far."""
        return self._rows.contexts

    def clear(self) -> None:
        """Forget the rows that are kept, and have the model of tokens forget what it keeps.

        Rows are then, to the last bit, those of a model that was just made.
        """
        self._rows.clear()
        clear(self._model)

    def __reduce__(self) -> tuple[functools.partial[ByteModel], tuple[()]]:
        # What is sorted and remembered is found again.
        made = functools.partial(
            type(self),
            self._model,
            semantics=self._semantics,
            epsilon=self._epsilon,
            memory=self._memory,
        )
        return made, ()

    def start(self, prefix: str | bytes = b"") -> ByteState:
        """The state after a text, which may end anywhere: inside a token, inside a character."""
        return self._begun().advance(text_bytes(prefix))

    def given(self, text: str | bytes) -> ByteState:
        r"""The state after a text that is given: how likely it is itself is not asked.

        What follows is the same as behind `start(text)`, but `logprob` is 0 here and that of what
        is read from here on. Only the contexts that decide what follows are asked for, and not one
        for each token of the text: however long it is, mostly the few with which the sequences of
        tokens that cover its last bytes differ. (With the semantics `"all"` these are all.)

        A text that cannot be is told only where its last few tokens say so: `logprob` is minus
        infinity then.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")], pattern=r"\w+|\W")
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and la and lo"] * 9))
        >>> state = model.given("la and lo and l")
        >>> round(float(state.next().probs[ord("o")]), 2), model.contexts
        (0.5, 2)
        >>> round(float(np.exp(state.advance(b"o").logprob)), 2)
        0.5
        """
        return self._begun()._take(text_bytes(text))

    def behind(
        self,
        ids: Sequence[int] | NDArray[np.int32],
        *,
        eos_id: int | None = None,
        begins: bool = False,
        begun: bytes | None = None,
    ) -> ByteModel:
        """The model of the texts that stand behind a prompt of ids.

        The same as a `ByteModel` of a `PromptedModel`, but made in no time.

        Args:
            ids: the prompt, which may hold special tokens.
            eos_id: the id that ends such a text; that of the model unless given.
            begins: whether such a text begins there, with the space that a tokenizer may put
                before texts; otherwise its bytes are those of its tokens.
            begun: the bytes of a character that such a text goes on inside of; those that the
                prompt ends with unless given.

        Raises:
            ArgumentError: what `PromptedModel` refuses.
            ArgumentTypeError: an argument of another type.
            UnknownTokenError: an id that the tokenizer has not got.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["low and low"] * 9))
        >>> model.behind(tok.encode("low")).sample(max_bytes=4, temperature=0)
        b' and'
        """
        other = object.__new__(type(self))
        other._semantics, other._epsilon = self._semantics, self._epsilon
        other._memory, other._vocabs = self._memory, self._vocabs
        prompted = PromptedModel(self._model, ids, eos_id=eos_id, begins=begins, begun=begun)
        other._take(prompted)
        return other

    def prepare(self, places: Sequence[BytePlace], goal: Goal = "next") -> None:
        """Ask the model, once, for all that several states need for their next bytes.

        Or, with `"end"`, for their `logprob`. It changes nothing but how often the model is asked.
        """
        arguments.word(goal, "goal", ("next", "end"))
        given = arguments.items(places, "places")
        states = [one for one in given if isinstance(one, ByteState) and one._rows is self._rows]
        self._rows.prepare(ids for state in states for ids in state._wanted(goal))

    def score(self, text: str | bytes, *, progress: Tell | None = None) -> NDArray[np.float64]:
        """For each byte, how its coming changes the logarithm of the probability.

        The sum over a text's beginning is its `logprob`: lost mass counts as a loss. With pruning,
        the probability of each beginning is too small by a share of `epsilon` at most. All contexts
        of a stretch of the text are asked for together.

        The text is taken as it stands behind the tokenizer's normalizer, and is not changed here:
        of a letter and an accent as two characters, which the NFC of Qwen 2.5 makes one, scored are
        the two. A model that has only seen normalized texts gives them next to nothing, or nothing:
        normalize first.

        Args:
            text: the text.
            progress: called behind each stretch.

        Returns:
            float64 `[len(text)]`, in nats; minus infinity from the first byte on that cannot be.
        """
        data = text_bytes(text)
        arguments.function(progress, "progress")
        tree = self._tree()
        window = 1 if self._semantics == "all" else _WINDOW
        known = [np.zeros(1)]
        for start in range(0, len(data), window):
            tree.advance(data[start : start + window])
            self._rows.fill(tree, "every")
            known.append(tree.settle())
            if progress is not None:
                progress(ByteProgress(min(start + window, len(data)), len(data)))
        logprobs = np.concatenate(known)
        scores = np.full(len(data), -np.inf)
        possible = logprobs[1:] > -np.inf
        scores[possible] = np.diff(logprobs[: 1 + int(possible.sum())])
        return scores

    def _begun(self) -> ByteState:
        return ByteState(self._tree(), self._rows, stepwise=self._semantics == "all")

    def _tree(self) -> _core.ByteTree:
        return self._vocab.tree(self._epsilon, self._rows.reach, self._goes_on)

    @property
    def _before(self) -> bytes:
        return self.begun

    def _told(self, fim: FimFormat | str, prefix: str | bytes, suffix: str | bytes) -> FimPrompt:
        return fim_format(fim).open(self, prefix, suffix)

    def __repr__(self) -> str:
        return f"<ByteModel of {self._model!r}, semantics {self._semantics!r}>"

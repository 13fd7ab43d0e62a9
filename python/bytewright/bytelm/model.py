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
What a text that goes on may be cut into is decided by the pre-tokenizer's own automaton, whatever its
pattern, so that no sequence is missed or counted that should not be. Where a pattern cuts texts, a text is
UTF-8: other bytes are for `"all"`.

The text is that behind the tokenizer's normalizer, but for a space that it puts before every text and
decoding takes away, as SentencePiece does: probabilities are given that space. Special tokens are never
text: where they are not the end of the text, their probability is lost mass. Added tokens that are not
special are text, and stand where they are found in a text before a pattern cuts it.
"""  # noqa: E501

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.bytelm.constraints import Constraint
from bytewright.bytelm.distribution import END
from bytewright.bytelm.fim import FimFormat, fim_format
from bytewright.bytelm.infilling import Infilling, infill_candidates
from bytewright.bytelm.protocol import BytePlace, Goal
from bytewright.bytelm.rows import Rows
from bytewright.bytelm.sampling import Ends, Utf8, sample
from bytewright.bytelm.state import ByteState
from bytewright.bytelm.text import check_share, mean_bits, text_bytes
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models import PromptedModel, TokenModel
from bytewright.models.protocol import check_model
from bytewright.sizes import byte_size

__all__ = ["ByteModel", "Semantics"]

Semantics = Literal["all", "valid", "fast", "local"]

# Bytes of a text that are scored at a time: the rows of their contexts are asked for together.
_WINDOW = 256


class ByteModel:
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

    __slots__ = ("_epsilon", "_memory", "_model", "_rows", "_semantics", "_vocab", "_vocabs")

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
                0 asks for every context.
            memory: bytes of rows that are kept for texts that begin alike.

        Raises:
            ArgumentError: an unknown semantics, `epsilon` not in 0.0 <= epsilon < 1.0, or a
                tokenizer of which it is not known what it makes of a text that goes on (semantics
                `"all"` takes any).
            ArgumentTypeError: no model of tokens, or an argument of another type.
        """
        check_model(model)
        check_share(epsilon, "epsilon")
        if not isinstance(semantics, str):
            raise ArgumentTypeError(f"semantics must be str, not {type(semantics).__name__}")
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
    def contexts(self) -> int:
        """How many contexts the model was asked for so far."""
        return self._rows.contexts

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
        stepwise = self._semantics == "all"
        state = ByteState(self._vocab.tree(self._epsilon), self._rows, stepwise=stepwise)
        return state.advance(text_bytes(prefix))

    def behind(
        self, ids: Sequence[int] | NDArray[np.int32], *, eos_id: int | None = None
    ) -> ByteModel:
        """The model of the texts that stand behind a prompt of ids.

        The same as a `ByteModel` of a `PromptedModel`, but made in no time.

        Args:
            ids: the prompt, which may hold special tokens.
            eos_id: the id that ends such a text; that of the model unless given.

        Raises:
            ArgumentError: an end of text that is negative.
            UnknownTokenError: an id that the tokenizer has not got.
        """
        other = object.__new__(type(self))
        other._semantics, other._epsilon = self._semantics, self._epsilon
        other._memory, other._vocabs = self._memory, self._vocabs
        other._take(PromptedModel(self._model, ids, eos_id=eos_id))
        return other

    def prepare(self, places: Sequence[BytePlace], goal: Goal = "next") -> None:
        """Ask the model, once, for all that several states need for their next bytes.

        Or, with `"end"`, for their `logprob`. It changes nothing but how often the model is asked.
        """
        states = [one for one in places if isinstance(one, ByteState) and one._rows is self._rows]
        self._rows.prepare((state._tree for state in states), goal)

    def logprob(self, text: str | bytes, *, end: bool = False) -> float:
        """The natural logarithm of the probability that a text begins so, or, with `end`, is so."""
        state = self.start(text)
        logprob = state.logprob
        if not end or logprob == -np.inf:
            return logprob
        last = state.next()
        return float(logprob + last.log_kept + last.logprobs[END])

    def score(self, text: str | bytes) -> NDArray[np.float64]:
        """For each byte, how its coming changes the logarithm of the probability.

        The sum over a text's beginning is its `logprob`: lost mass counts as a loss. All contexts
        of a stretch of the text are asked for together.

        Returns:
            float64 `[len(text)]`, in nats; minus infinity from the first byte on that cannot be.
        """
        data = text_bytes(text)
        tree = self._vocab.tree(self._epsilon)
        window = 1 if self._semantics == "all" else _WINDOW
        known = [np.zeros(1)]
        for start in range(0, len(data), window):
            tree.advance(data[start : start + window])
            self._rows.fill(tree, "every")
            known.append(tree.settle()[0])
        logprobs = np.concatenate(known)
        scores = np.full(len(data), -np.inf)
        possible = logprobs[1:] > -np.inf
        scores[possible] = np.diff(logprobs[: 1 + int(possible.sum())])
        return scores

    def bits_per_byte(self, texts: Iterable[str | bytes], *, end: bool = False) -> float:
        """The mean number of bits that a byte of these texts takes, over all bytes alike.

        Bytes are the same whatever the tokenizer, so models compare.

        Args:
            texts: each a text of its own.
            end: count what the end of each text takes too; the number of bytes stays.

        Raises:
            ArgumentError: there is no byte.
        """
        return mean_bits(texts, lambda text: self.logprob(text, end=end))

    def sample(
        self,
        prompt: str | bytes = b"",
        *,
        max_bytes: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        ends: Ends = "text",
    ) -> bytes:
        """Draw what follows a prompt, which may end anywhere: inside a token, inside a character.

        Args:
            prompt: the text so far.
            max_bytes: no more bytes than these; fewer where the text ends.
            temperature: probabilities are raised to the power of its inverse; 0 takes the likeliest
                outcome, of equals the one with the smallest number.
            top_p: keep the fewest outcomes, the likeliest first and of equals those with the
                smaller numbers, that have this share of the probability; the temperature comes
                first.
            seed: equal seeds give equal texts; None draws another text each time.
            stop: strings that end the text where they come to stand in what is drawn; they are not
                part of the result.
            utf8: `"strict"` leaves out bytes that cannot continue UTF-8 and shares out their
                probability; a last character for which `max_bytes` leaves no room is left out. An
                unfinished character at the end of the prompt is finished; before that the prompt
                may hold any bytes.
            constraint: what the text has to be; it satisfies the constraint or is an error. At each
                step the model's probabilities are shared out among the bytes that are allowed:
                `sample_weighted` draws texts as the model as a whole has them.
            ends: with a constraint, `"match"` leaves the text at the first byte that the constraint
                does not allow, where it satisfies the constraint by then; otherwise the text is
                what the model writes up to its end.

        Raises:
            ArgumentError: an argument outside what is allowed, or `stop` with a constraint.
            DataError: the prompt has the probability 0, nothing that is allowed may follow, or the
                constraint does not allow the text to end after `max_bytes`.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo and lo"] * 9))
        >>> model.sample("l", max_bytes=9, temperature=0)
        b'o and lo '
        >>> model.sample("lo ", max_bytes=20, stop="lo", seed=1)
        b'and '
        >>> model.sample("lo ", max_bytes=20, ends="match", constraint=bw.RegexConstraint("[a-m]+"))
        b'a'
        """
        return sample(
            self,
            prompt,
            max_bytes=max_bytes,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            ends=ends,
        )

    def infill(
        self,
        prefix: str | bytes,
        suffix: str | bytes,
        *,
        max_bytes: int,
        end: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
        fim: FimFormat | str | None = None,
    ) -> bytes:
        """Draw what stands between two texts, each of which may end and begin anywhere.

        A middle m is drawn with the probability P(m | prefix, suffix), which is in proportion to
        P(prefix m suffix), among all of at most so many bytes: exactly where the budget is enough
        for all of them, and the better the larger it is where not. `infill_candidates` tells how
        well.

        A model that was trained to fill in is told the text around in its own format (`fim`) and
        draws the middle byte for byte, as `sample` does; `bytewright.bytelm.fim` says what is exact
        then. With a format by lines (FIM-SE) the middle is drawn as without one.

        Args:
            prefix: the text before.
            suffix: the text behind.
            max_bytes: no more bytes than these.
            end: the text ends behind the suffix.
            temperature: the probabilities of middles are raised to the power of its inverse; 0
                takes the likeliest that was looked at.
            top_p: keep the fewest middles, the likeliest first, that have this share.
            seed: equal seeds give equal middles; None draws another each time.
            stop: strings that the middle does not contain: with a line break, it is on one line.
            utf8: `"strict"` leaves out middles with which the text is not UTF-8; what the prefix
                begins of a character and the suffix ends of one is finished.
            constraint: what the middle has to satisfy.
            budget: how many of the likeliest middles are looked at.
            trajectories: how many texts are drawn to cover the others, of up to `max_bytes` each.
            fim: the format that the model was trained with, or a name in `bytelm.FIM_FORMATS`.

        Raises:
            ArgumentError: an argument outside what is allowed, or tokens of `fim` that are not
            there. DataError: the prefix has the probability 0, or no middle that was looked at
            fits.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["low tide, low water"] * 9))
        >>> model.infill("low ti", "ow water", max_bytes=9, temperature=0)
        b'de, l'
        """
        if fim is not None:
            if end:
                raise ArgumentError("end: a format to fill in with tells no end of the text")
            return (
                fim_format(fim)
                .open(self, prefix, suffix)
                .draw(
                    max_bytes=max_bytes,
                    temperature=temperature,
                    top_p=top_p,
                    seed=seed,
                    stop=stop,
                    utf8=utf8,
                    budget=budget,
                    trajectories=trajectories,
                )
            )
        return self.infill_candidates(
            prefix,
            suffix,
            max_bytes=max_bytes,
            end=end,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            budget=budget,
            trajectories=trajectories,
            seed=seed,
        ).draw(temperature=temperature, top_p=top_p, seed=seed)

    def infill_candidates(
        self,
        prefix: str | bytes,
        suffix: str | bytes,
        *,
        max_bytes: int,
        end: bool = False,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
        seed: int | None = None,
    ) -> Infilling:
        """What may stand between two texts, with how much each middle counts and what is certain.

        The arguments are those of `infill`; equal seeds draw equal trajectories.

        Raises:
            ArgumentError: an argument outside what is allowed.
            DataError: the prefix has the probability 0, or no middle that was looked at fits.
        """
        return infill_candidates(
            self,
            prefix,
            suffix,
            max_bytes=max_bytes,
            end=end,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            budget=budget,
            trajectories=trajectories,
            seed=seed,
        )

    def __repr__(self) -> str:
        return f"<ByteModel of {self._model!r}, semantics {self._semantics!r}>"

"""Filling in with models that were trained for it: the text before and behind as a prompt.

Such a model reads the prefix, the suffix and then the middle, told apart by special tokens
(Bavarian et al. 2022, "Efficient Training of Language Models to Fill in the Middle"). A
`FimFormat` is the order of these and the token that ends the middle. What is exact follows from
where the prompt ends:

**The middle behind a special token** ("PSM": prefix, suffix, middle). Prefix and suffix are closed:
each is encoded as a text of its own, even where it is cut inside a word, and so were the texts of
the training. The middle's bytes are exact from its first on; where the prefix is cut inside a
character, the middle begins with the rest of it.

**The prefix last** ("SPM": suffix, prefix, middle). Prefix and middle are one text, so the prefix
may end inside a token: all ways to cut the two into tokens count, and the middle's bytes follow
exactly.

**Lines** (FIM-SE, Ren et al. 2024, "Empowering Character-level Text Infilling by Eliminating
Sub-Tokens"). What stands behind the prefix's last line break and before the suffix's first one is
taken out and told the model as constraints: what it writes begins with the one, ends with the
other, and ends. The authors draw it freely and throw away what breaks the constraints; here the
middle is drawn from its probability given both,

    P(m | prompt) in proportion to P(last line . m . first line . end | prompt)

as `infilling` does, byte for byte, wherever the lines are cut. No line break is invented where
there is none, as the authors' program does at the ends of the text.

Where a tokenizer puts a space before every text, the prefix gets it, also one that goes on in the
middle; the suffix does not, nor does a middle behind a special token, as in the formats of Code
Llama and Codestral. A token that a model wants before everything else (`<s>`) is that model's own
affair, not the format's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bytewright.arguments import is_integer, items, text, word
from bytewright.bytelm.arguments import Utf8, text_bytes
from bytewright.bytelm.constraints import Constraint
from bytewright.bytelm.infilling import Infilling, InfillingPredictor
from bytewright.bytelm.protocol import BytePlace, Goal
from bytewright.bytelm.spaces import bare_ids, is_spaced
from bytewright.bytelm.state import ByteState
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models.protocol import check_tokenizer
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.utf8 import unfinished

if TYPE_CHECKING:
    from bytewright.bytelm.model import ByteModel

__all__ = ["FIM_FORMATS", "FimFormat", "FimPart", "FimPrompt", "fim_format"]


class FimPart(Enum):
    """A part of the text around the middle."""

    PREFIX = "prefix"
    SUFFIX = "suffix"
    HEAD = "prefix without its last line"
    LAST = "last line of the prefix"
    FIRST = "first line of the suffix"
    REST = "suffix without its first line"


_LINES = {FimPart.HEAD, FimPart.LAST, FimPart.FIRST, FimPart.REST}
_WHOLE = {FimPart.PREFIX, FimPart.SUFFIX}


@dataclass(frozen=True, slots=True)
class FimFormat:
    """How a model that was trained to fill in is told the text around.

    `psm`, `spm` and `lines` make the usual ones, `FIM_FORMATS` has those of published models.

    Attributes:
        parts: special tokens, by their texts or ids, and parts of the text, in the order of the
            prompt: prefix and suffix, or all four parts by lines. Where the prefix comes last, the
            middle goes on with it.
        end: the token that ends the middle.

    >>> FimFormat.spm("<pre>", "<suf>", "<mid>", end="<end>").parts[-1]
    <FimPart.PREFIX: 'prefix'>
    """

    parts: tuple[str | int | FimPart, ...]
    end: str | int

    def __post_init__(self) -> None:
        """Check the parts.

        Raises:
            ArgumentError: a part is missing, twice there, or of the other kind.
        """
        for name in (*items(self.parts, "parts"), self.end):
            if not (isinstance(name, str | FimPart) or is_integer(name)):
                raise ArgumentTypeError(
                    f"a special token, by its text or id, or a part, not {type(name).__name__}"
                )
            if isinstance(name, str):
                text(name, "a special token")
        if isinstance(self.end, FimPart):
            raise ArgumentTypeError("end: a special token, by its text or id, not a part")
        named = [part for part in self.parts if isinstance(part, FimPart)]
        if len(named) != len(set(named)) or set(named) not in (_LINES, _WHOLE):
            raise ArgumentError(
                "parts: PREFIX and SUFFIX, or HEAD, LAST, FIRST and REST, each once, not "
                f"{[part.name for part in named]}"
            )

    @classmethod
    def psm(
        cls, prefix: str | int, suffix: str | int, middle: str | int, *, end: str | int
    ) -> FimFormat:
        """Prefix, suffix, middle, each behind its token."""
        return cls((prefix, FimPart.PREFIX, suffix, FimPart.SUFFIX, middle), end)

    @classmethod
    def spm(
        cls, prefix: str | int, suffix: str | int, middle: str | int, *, end: str | int
    ) -> FimFormat:
        """Suffix, then prefix and middle as one text, as in Code Llama and StarCoder."""
        return cls((prefix, suffix, FimPart.SUFFIX, middle, FimPart.PREFIX), end)

    @classmethod
    def lines(
        cls,
        prefix: str | int,
        suffix: str | int,
        middle: str | int,
        *,
        end: str | int,
        starts: str | int = "<START>",
        ends: str | int = "<END>",
    ) -> FimFormat:
        """FIM-SE: what begins with the prefix's last line and ends with the suffix's first."""
        return cls(
            (
                *(prefix, FimPart.HEAD, suffix, FimPart.REST, starts, FimPart.LAST),
                *(ends, FimPart.FIRST, middle),
            ),
            end,
        )

    def prompt(self, tokenizer: Tokenizer, prefix: str | bytes, suffix: str | bytes) -> list[int]:
        """The ids before the text that the model writes.

        Raises:
            ArgumentError: the tokenizer lacks a token; all that it lacks are named.

        >>> tok = Tokenizer.from_merges([], special_tokens=["<pre>", "<suf>", "<mid>", "<end>"])
        >>> FimFormat.psm("<pre>", "<suf>", "<mid>", end="<end>").prompt(tok, "a", "c")
        [256, 97, 257, 99, 258]
        """
        check_tokenizer(tokenizer)
        texts = _texts(text_bytes(prefix), text_bytes(suffix))
        names = [name for name in (*self.parts, self.end) if not isinstance(name, FimPart)]
        known = {name: _token(tokenizer, name) for name in names}
        missing = [name for name, found in known.items() if found is None]
        if missing:
            raise ArgumentError(
                f"the tokenizer lacks the tokens {', '.join(map(repr, missing))} of the format"
            )
        ids: list[int] = []
        for at, part in enumerate(self.parts):
            if not isinstance(part, FimPart):
                ids.append(known[part] or 0)
            elif part in (FimPart.PREFIX, FimPart.HEAD):
                ids += tokenizer.encode(texts[part]) if at + 1 < len(self.parts) else []
            else:
                ids += bare_ids(tokenizer, texts[part])
        return ids

    def open(self, model: ByteModel, prefix: str | bytes, suffix: str | bytes) -> FimPrompt:
        """The model of the middles between two texts.

        Args:
            model: the exact bytes of a model that was trained with this format.
            prefix: the text before.
            suffix: the text behind.

        Raises:
            ArgumentError: the tokenizer lacks a token; all that it lacks are named.
        """
        if not hasattr(model, "behind"):
            raise ArgumentTypeError(f"model: a ByteModel is needed, not {type(model).__name__}")
        tok = model.model.tokenizer
        ids = self.prompt(tok, prefix, suffix)
        texts = _texts(text_bytes(prefix), text_bytes(suffix))
        end, before = _token(tok, self.end), texts[FimPart.PREFIX]
        if self.parts[-1] is FimPart.PREFIX:
            begins, before = _begun(tok, before)
            return FimPrompt(model.behind(ids, eos_id=end, begins=begins), before, None)
        if FimPart.LAST in self.parts:
            behind = model.behind(ids, eos_id=end)
            return FimPrompt(behind, texts[FimPart.LAST], texts[FimPart.FIRST])
        return FimPrompt(model.behind(ids, eos_id=end, begun=unfinished(before)), b"", None)


@dataclass(frozen=True, slots=True, eq=False)
class FimPrompt(InfillingPredictor):
    """The model of what stands between two texts: a model of bytes.

    It predicts, samples and mixes with others like any: the text that it predicts is the middle,
    and its end is the end of the middle.

    Attributes:
        model: the model behind the prompt.
        before: what the model's text begins with before the middle.
        after: what its text has to end with behind the middle; None where it may end anywhere.
    """

    model: ByteModel
    before: bytes
    after: bytes | None

    @property
    def generation(self) -> object:
        """Which rows the model gives, as `TokenModel` has it."""
        return self.model.generation

    def clear(self) -> None:
        """Forget what earlier calls have left, as `ByteModel.clear`."""
        self.model.clear()

    def start(self, prefix: str | bytes = b"") -> ByteState:
        """The place behind the beginning of a middle."""
        return self.model.start(self.before + text_bytes(prefix))

    def given(self, text: str | bytes) -> ByteState:
        """The same, where how likely the beginning is does not matter."""
        return self.model.given(self.before + text_bytes(text))

    def prepare(self, places: Sequence[BytePlace], goal: Goal = "next") -> None:
        """Ask the model, once, for what several places need, as `ByteModel.prepare` does."""
        self.model.prepare(places, goal)

    def draw(
        self,
        *,
        max_bytes: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
    ) -> bytes:
        """Draw a middle, with the arguments of `ByteModel.infill`.

        It is cut where it has not ended after `max_bytes`, but not with a format by lines.

        Raises:
            ArgumentError: an argument outside what is allowed.
            DataError: nothing that is allowed may follow, or no middle that was looked at fits.
        """
        # What some formats do not need is no less an argument.
        budget, trajectories = whole(budget, "budget", least=1), whole(trajectories, "trajectories")
        if self.after is None:
            return self.sample(
                max_bytes=max_bytes,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                stop=stop,
                utf8=utf8,
                constraint=constraint,
            )
        return self.infill(
            b"",
            self.after,
            max_bytes=max_bytes,
            end=True,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            budget=budget,
            trajectories=trajectories,
        )

    def candidates(
        self,
        *,
        max_bytes: int,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
    ) -> Infilling:
        """The middles that end within `max_bytes`, with how much each counts and what is certain.

        The arguments are those of `ByteModel.infill_candidates`.

        Raises:
            ArgumentError: an argument outside what is allowed.
            DataError: no middle that was looked at fits.
        """
        return self.infill_candidates(
            b"",
            self.after or b"",
            max_bytes=max_bytes,
            end=True,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            budget=budget,
            trajectories=trajectories,
            seed=seed,
        )

    @property
    def goes_on(self) -> bool:
        """Whether middles go on with what the model knows of; one that begins a text does not."""
        return bool(self.before) or self.model.goes_on

    @property
    def begun(self) -> bytes:
        """The bytes of a character that the text before a middle ends inside of."""
        return unfinished(self._before)

    @property
    def _before(self) -> bytes:
        return self.model.begun + self.before


def _texts(prefix: bytes, suffix: bytes) -> dict[FimPart, bytes]:
    last, first = prefix.rfind(b"\n") + 1, suffix.find(b"\n") + 1 or len(suffix)
    return {
        FimPart.PREFIX: prefix,
        FimPart.SUFFIX: suffix,
        FimPart.HEAD: prefix[:last],
        FimPart.LAST: prefix[last:],
        FimPart.FIRST: suffix[:first],
        FimPart.REST: suffix[first:],
    }


def _token(tok: Tokenizer, name: str | int) -> int | None:
    """The id of a special token, which some vocabularies do not call special."""
    if not isinstance(name, str):
        return int(name) if 0 <= name < tok.vocab_size else None
    found = tok.special_tokens.get(name)
    return tok.token_id(name.encode()) if found is None else found


def _begun(tok: Tokenizer, text: bytes) -> tuple[bool, bytes]:
    """Whether a text that goes on is one to which a space is given, and what its tokens spell."""
    if not text:
        return True, text
    if not is_spaced(tok, text):
        return False, text
    # Where decoding keeps the space, it is a part of the text.
    return (True, text) if tok.decode_bytes(tok.encode(text)) == text else (False, b" " + text)


def fim_format(name: FimFormat | str) -> FimFormat:
    """The format of this name, or the format itself.

    Raises:
        ArgumentError: no published format has this name.
    """
    if isinstance(name, FimFormat):
        return name
    word(name, "fim", FIM_FORMATS)
    return FIM_FORMATS[name]


_STARCODER = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
_CODE_LLAMA = ("▁<PRE>", "▁<SUF>", "▁<MID>")
_PIPES = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")

FIM_FORMATS: Final[Mapping[str, FimFormat]] = MappingProxyType(
    {
        "code-llama": FimFormat.psm(*_CODE_LLAMA, end="▁<EOT>"),
        "code-llama-spm": FimFormat.spm(*_CODE_LLAMA, end="▁<EOT>"),
        "codegemma": FimFormat.psm(*_PIPES, end="<|file_separator|>"),
        "codestral": FimFormat(
            ("[SUFFIX]", FimPart.SUFFIX, "[PREFIX]", FimPart.PREFIX), end="</s>"
        ),
        "deepseek-coder": FimFormat.psm(
            *("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"), end="<｜end▁of▁sentence｜>"
        ),
        "fim-se-code-llama": FimFormat.lines("<PRE>", "<SUF>", "<MID>", end="<EOT>"),
        "fim-se-starcoder": FimFormat.lines(*_STARCODER, end="<|endoftext|>"),
        "qwen2.5-coder": FimFormat.psm(*_PIPES, end="<|endoftext|>"),
        "santacoder": FimFormat.psm(
            "<fim-prefix>", "<fim-suffix>", "<fim-middle>", end="<|endoftext|>"
        ),
        "starcoder": FimFormat.psm(*_STARCODER, end="<|endoftext|>"),
        "starcoder-spm": FimFormat.spm(*_STARCODER, end="<|endoftext|>"),
    }
)
"""The formats of published models, by name."""

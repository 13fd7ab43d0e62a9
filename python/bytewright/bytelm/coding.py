"""Files made small by a model of bytes: arithmetic coding of what the model expects.

Witten, Neal and Cleary 1987, "Arithmetic Coding for Data Compression", with an interval of 32 bits.
Each of the 257 outcomes gets 1 + floor(p (2^24 - 257)) of 2^24 parts, the likeliest what is left,
so that an outcome costs at most 2.3e-5 bits more than -log2 p, or 24 bits where the model excludes
it; the end of the text is the last outcome, and no header is written. Rounding of the interval adds
at most 0.03 bits to an outcome of one part and less the likelier it is, the end of the bits about 2
to 9.

The same model must give the same numbers both times, to the last bit: the same files, settings,
versions, number of threads and kind of processor. A network may round a row otherwise when others
are asked for with it or are kept from before. So the model forgets first, both times, what earlier
calls have left (`clear`, where it has one), and nobody else may ask it meanwhile. Numbers that
differ all the same give other bytes, mostly without an error: what is stored needs a checksum, as
`bytewright bytes compress` writes one. After a byte that the model excludes it begins anew;
one that only pruning left out of a prediction is none of these, and such outcomes share what
pruning may have taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import function
from bytewright.bytelm.arguments import check_bytes
from bytewright.bytelm.distribution import END, OUTCOMES, ByteDistribution
from bytewright.bytelm.progress import ByteProgress, Tell
from bytewright.bytelm.protocol import BytePlace, BytePredictor, check_predictor
from bytewright.errors import DataError
from bytewright.models.protocol import clear

__all__ = ["compress", "decompress"]

_BITS = 32
_FULL = (1 << _BITS) - 1
_HALF = 1 << (_BITS - 1)
_QUARTER = 1 << (_BITS - 2)
_PARTS = 1 << 24

# Bytes between two calls that tell of progress.
_FEW = 256

# What `_Interval.narrow` says beside known bits: this one is the opposite of the next known one.
_OPPOSITE = 2


def compress(model: BytePredictor, data: bytes, *, progress: Tell | None = None) -> bytes:
    """Write data as the bits that a model takes for it.

    Args:
        model: a `ByteModel`, an `Ensemble`, or whatever else predicts bytes.
            What it keeps of earlier calls, it forgets.
        data: any bytes.
        progress: called every few bytes.

    Returns:
        About `-log2 P(data and its end) / 8` bytes.

    >>> import bytewright as bw
    >>> low = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["low tide"] * 99))
    >>> small = compress(low, b"low tide low tide")
    >>> len(small) < 9, decompress(low, small)
    (True, b'low tide low tide')
    """
    check_bytes(data)
    function(progress, "progress")
    text, interval, out = _Text(model), _Interval(), _Bits()
    for at, outcome in enumerate(itertools.chain(data, [END])):
        if progress is not None and (at % _FEW == 0 or outcome == END):
            progress(ByteProgress(at, len(data)))
        parts = text.parts()
        for bit in interval.narrow(int(parts[outcome]), int(parts[outcome + 1])):
            out.add(bit)
        if outcome != END:
            text.read(outcome)
    return out.finished()


def decompress(model: BytePredictor, data: bytes, *, progress: Tell | None = None) -> bytes:
    """The bytes that `compress` was given, with the same model.

    Args:
        model: the model. What it keeps of earlier calls, it forgets.
        data: what `compress` has made.
        progress: called every few bytes, of which it counts those that are compressed.

    Raises:
        DataError: the data is damaged, or another model made it. Not every damage can be told:
            what is stored for long needs a checksum.
    """
    check_bytes(data)
    function(progress, "progress")
    text, interval, source = _Text(model), _Interval(), _Source(data)
    out = bytearray()
    while True:
        if progress is not None and len(out) % _FEW == 0:
            progress(ByteProgress(source.known // 8, len(data)))
        parts = text.parts()
        found = interval.where(source.code)
        outcome = int(np.searchsorted(parts, found, side="right")) - 1
        for bit in interval.narrow(int(parts[outcome]), int(parts[outcome + 1])):
            source.shift(opposite=bit == _OPPOSITE)
        if source.known >= 8 * len(data):
            raise DataError(f"the {len(data)} bytes end inside the text: damaged, or another model")
        if outcome == END:
            break
        out.append(outcome)
        text.read(outcome)
    if not source.is_whole():
        raise DataError(f"the {len(data)} bytes go on behind the text: damaged, or another model")
    if progress is not None:
        progress(ByteProgress(len(data), len(data)))
    return bytes(out)


class _Text:
    """What a model expects, as whole numbers."""

    def __init__(self, model: BytePredictor) -> None:
        check_predictor(model, "model")
        # What is kept of before decides the last bits of what comes.
        clear(model)
        self._model = model
        self._state: BytePlace = model.start()
        self._logprobs: NDArray[np.float64] = np.zeros(0)
        self._pruned = False

    def parts(self) -> NDArray[np.int64]:
        """Where the share of each outcome begins, `[258]`."""
        found = self._state.next()
        self._logprobs, self._pruned = found.logprobs, found.error_bound > 0.0
        sizes = 1 + np.floor(_shared_out(found) * (_PARTS - OUTCOMES)).astype(np.int64)
        sizes[int(np.argmax(sizes))] += _PARTS - int(sizes.sum())
        return np.concatenate([[0], np.cumsum(sizes)])

    def read(self, byte: int) -> None:
        excluded = self._logprobs[byte] == -np.inf
        # What was pruned from a prediction is unlikely and not impossible: the text says which.
        if not excluded or self._pruned:
            self._state.advance(bytes([byte]))
            excluded = excluded and self._state.logprob == -np.inf
        if excluded:
            self._state = self._model.start()


def _shared_out(found: ByteDistribution) -> NDArray[np.float64]:
    """The probabilities, with what pruning may have taken given to the outcomes that are missing.

    They may be as likely together as the bound says, but the closer to 1 it is the less it says.
    """
    probs, missing = found.probs, found.logprobs == -np.inf
    if found.error_bound > 0.0 and missing.any():
        share = found.error_bound * (1.0 - found.error_bound)
        probs = np.where(missing, share / int(missing.sum()), probs * (1.0 - share))
    return probs


class _Interval:
    """The numbers that begin with what was coded so far, without the bits that are known."""

    def __init__(self) -> None:
        self._low, self._high = 0, _FULL

    def where(self, code: int) -> int:
        """Which part the number is in."""
        return ((code - self._low + 1) * _PARTS - 1) // (self._high - self._low + 1)

    def narrow(self, start: int, stop: int) -> Iterator[int]:
        """Go on to some of the parts; gives the bits that are known now, or `_OPPOSITE`."""
        width = self._high - self._low + 1
        self._high = self._low + stop * width // _PARTS - 1
        self._low += start * width // _PARTS
        while True:
            if not (self._low ^ self._high) & _HALF:
                bit, cut = self._low >> (_BITS - 1), 0
            elif self._low & ~self._high & _QUARTER:
                bit, cut = _OPPOSITE, _HALF
            else:
                return
            self._low = ((self._low << 1) & _FULL) ^ cut
            self._high = (((self._high << 1) & _FULL) | 1) ^ cut | 1
            yield bit


class _Bits:
    """Bits on their way to bytes."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._last, self._count, self._opposite = 0, 0, 0

    def add(self, bit: int) -> None:
        if bit == _OPPOSITE:
            self._opposite += 1
            return
        self._put(bit)
        for _ in range(self._opposite):
            self._put(1 - bit)
        self._opposite = 0

    def _put(self, bit: int) -> None:
        self._last, self._count = self._last << 1 | bit, self._count + 1
        if self._count == 8:
            self._out.append(self._last)
            self._last, self._count = 0, 0

    def finished(self) -> bytes:
        # One half is in every interval that is left, and zeros follow by themselves; those that are
        # opposites are written, so that the length tells where the text ends.
        self.add(1)
        while self._count:
            self._put(0)
        return bytes(self._out)


class _Source:
    """Bits on their way from bytes, zeros behind them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self.code = 0
        for _ in range(_BITS):
            self.code = self.code << 1 | self._bit()

    def _bit(self) -> int:
        byte, at = divmod(self._at, 8)
        self._at += 1
        return self._data[byte] >> (7 - at) & 1 if byte < len(self._data) else 0

    def shift(self, *, opposite: bool) -> None:
        self.code = ((self.code << 1) & _FULL | self._bit()) ^ (_HALF if opposite else 0)

    @property
    def known(self) -> int:
        """How many bits the outcomes so far decide."""
        return self._at - _BITS

    def is_whole(self) -> bool:
        """Whether the bits end as `_Bits.finished` ends them."""
        return self.code == _HALF and self.known // 8 + 1 == len(self._data)

"""Probabilities of bytes from models of tokens, exactly.

`model` is the public class, `state` a place in a text, `distribution` what may follow there,
`paths` which tokens that comes from, `rows` brings the model's rows to the core and keeps some.
`protocol` is what the uses ask of a model of bytes, and `arguments` checks what they are given:
`scoring` says how likely texts are, `sampling` draws them, `constraints` say what they have to be
and `utf8` which bytes keep them UTF-8, `weighted` draws texts that satisfy a constraint as the
model as a whole has them, `infilling` finds what stands between two texts (`middles` are its
candidates, `joining` reads on behind them, `places` holds rows for few of them), `fim` asks models
that were trained for it, `coding` makes files small. `baselines` are the approximations that others
use, to compare with, and `inside` is a place in a token for these. `translated` tells what a model
of bytes expects of any tokenizer's tokens. `progress` is how far work along a long text is.
"""

from bytewright.bytelm.baselines import BaselineModel, BaselinePlace
from bytewright.bytelm.coding import compress, decompress
from bytewright.bytelm.constraints import (
    AllOf,
    CallableConstraint,
    ChoiceConstraint,
    Constraint,
    ConstraintPlace,
    RegexConstraint,
)
from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.fim import FIM_FORMATS, FimFormat, FimPart, FimPrompt
from bytewright.bytelm.infilling import Infilling, InfillingPredictor
from bytewright.bytelm.model import ByteModel
from bytewright.bytelm.page import byte_page
from bytewright.bytelm.paths import TokenPath
from bytewright.bytelm.progress import ByteProgress
from bytewright.bytelm.protocol import BytePlace, BytePredictor
from bytewright.bytelm.sampling import SamplingPredictor
from bytewright.bytelm.scoring import ScoringPredictor, TokenScores, score_tokens
from bytewright.bytelm.state import ByteState
from bytewright.bytelm.translated import NextTokens, TranslatedModel
from bytewright.bytelm.weighted import WeightedSample, WeightedText, sample_weighted

__all__ = [
    "FIM_FORMATS",
    "AllOf",
    "BaselineModel",
    "BaselinePlace",
    "ByteDistribution",
    "ByteModel",
    "BytePlace",
    "BytePredictor",
    "ByteProgress",
    "ByteState",
    "CallableConstraint",
    "ChoiceConstraint",
    "Constraint",
    "ConstraintPlace",
    "FimFormat",
    "FimPart",
    "FimPrompt",
    "Infilling",
    "InfillingPredictor",
    "NextTokens",
    "RegexConstraint",
    "SamplingPredictor",
    "ScoringPredictor",
    "TokenPath",
    "TokenScores",
    "TranslatedModel",
    "WeightedSample",
    "WeightedText",
    "byte_page",
    "compress",
    "decompress",
    "sample_weighted",
    "score_tokens",
]

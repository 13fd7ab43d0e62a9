"""Whatever a caller gives, for any argument of any public function: it works or is refused by name.

Each argument of each call of the table is replaced by things of other types. What comes out is a
result or one of the package's own errors, never an error of Python's from somewhere inside.
"""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bytewright as bw
from bytewright.bytelm import compress, decompress
from bytewright.training import pruning_order

Calls = dict[str, tuple[Callable[..., Any], dict[str, Any]]]


class Odd:
    """Nothing that anything takes."""


FEW: tuple[Any, ...] = (
    None, -1, 2**70, float("nan"), "zz", b"\xff", "a\ud800", "a\0b", [None], ["zz"], {3: "zz"},
    Odd(), np.array(["a"]), np.zeros((2, 2)),
)  # fmt: skip
MANY: tuple[Any, ...] = (
    3, 1.5, "", b"zz", [], [3], [[3]], {}, {"zz": 3}, (b"a",), np.array([1.5]), object, True, {3},
    ..., np.float32(1.5), np.int64(3), pa.array([None]), [b"a", 3], [("a",)], [(b"a", b"b", b"c")],
    [(b"a", 3)], [-1], [2**70], [1.5], ["a\ud800"],
)  # fmt: skip

# What is allowed to be large, and then takes long.
AMOUNTS = {"max_bytes", "particles", "trajectories", "epochs"}

TOK = bw.Tokenizer.from_merges([(b"a", b"b")], special_tokens=["<end>", "<pre>", "<suf>", "<mid>"])
IDS = np.array([97], np.int32)
TEXTS = ["ab ab"]


def flat_model(contexts: Any) -> Any:
    return np.zeros((len(contexts), TOK.vocab_size))


def of_tokenizer(folder: Path) -> Calls:
    special = {"allowed_special": ["<end>"]}
    TOK.save(folder / "t.json")
    return {
        "Tokenizer": (bw.Tokenizer, {"definition": TOK.definition}),
        "Tokenizer.load": (
            bw.Tokenizer.load,
            {"path": folder / "t.json", "pattern": None, "special_tokens": None},
        ),
        "Tokenizer.from_merges": (
            bw.Tokenizer.from_merges,
            {
                "merges": [(b"a", b"b")],
                "alphabet": b"ab",
                "pattern": "gpt2",
                "special_tokens": ["<end>"],
            },
        ),
        "Tokenizer.save": (TOK.save, {"path": folder / "s.json"}),
        "Tokenizer.encode": (TOK.encode, {"text": "ab", **special}),
        "Tokenizer.encode_array": (TOK.encode_array, {"text": "ab", **special}),
        "Tokenizer.encode_offsets": (TOK.encode_offsets, {"text": "ab", **special}),
        "Tokenizer.encode_batch": (TOK.encode_batch, {"texts": TEXTS, "threads": 1, **special}),
        "Tokenizer.count_batch": (TOK.count_batch, {"texts": TEXTS, "threads": 1, **special}),
        "Tokenizer.count": (TOK.count, {"text": "ab", "limit": 1, **special}),
        "Tokenizer.truncate": (TOK.truncate, {"text": "ab", "limit": 1, **special}),
        "Tokenizer.is_canonical": (TOK.is_canonical, {"ids": [97]}),
        "Tokenizer.decode": (TOK.decode, {"ids": [97], "errors": "strict"}),
        "Tokenizer.decode_bytes": (TOK.decode_bytes, {"ids": [97]}),
        "Tokenizer.decode_batch": (TOK.decode_batch, {"lists": [[97]]}),
        "Tokenizer.token_bytes": (TOK.token_bytes, {"id": 97}),
        "Tokenizer.token_id": (TOK.token_id, {"token": b"a"}),
        "Tokenizer.stream_encoder": (TOK.stream_encoder, special),
        "Tokenizer.stream_decoder": (TOK.stream_decoder, {"errors": "strict"}),
        "StreamEncoder.push": (TOK.stream_encoder().push, {"data": b"a"}),
        "StreamDecoder.push": (TOK.stream_decoder().push, {"ids": [97]}),
        "StreamDecoder.push_bytes": (TOK.stream_decoder().push_bytes, {"ids": [97]}),
    }


def of_corpus(folder: Path) -> Calls:
    source, done, numbers = folder / "in.txt", folder / "done", itertools.count()
    source.write_text("ab ab")
    bw.encode_corpus(source, TOK, done)

    def encode(**options: Any) -> Any:
        return bw.encode_corpus(**{"out_dir": folder / f"out{next(numbers)}", **options})

    options = {
        "inputs": source, "tokenizer": TOK, "format": "parquet", "text_field": "text",
        "id_field": None, "documents": "auto", "bos": None, "eos": None, "dtype": None,
        "name": "train", "resume": True, "threads": 1, "part_bytes": 1000, "memory": "64M",
        "progress": None,
    }  # fmt: skip
    checked = {"out_dir": done, "sample": 1, "tokenizer": TOK, "inputs": source}
    return {
        "encode_corpus": (encode, options),
        "encode_corpus into": (
            bw.encode_corpus,
            {"inputs": source, "tokenizer": TOK, "out_dir": done},
        ),
        "verify_corpus": (bw.verify_corpus, checked),
        "Manifest.read": (bw.Manifest.read, {"folder": done}),
        "Manifest.write": (bw.Manifest.read(done).write, {"folder": done}),
    }


def of_training(folder: Path) -> Calls:
    path = folder / "counted.txt"
    path.write_text("ab ab")
    train = {
        "sources_or_counts": TEXTS, "vocab_size": 257, "pattern": "gpt2", "special_tokens": [],
        "min_frequency": 1, "byte_order": "raw", "max_token_bytes": 4, "constraints": (),
        "initial_merges": None, "superword": None, "parity": None, "weights": None,
        "text_field": "text", "documents": "auto", "checkpoint": None, "threads": 1,
        "memory": None, "progress": None,
    }  # fmt: skip
    named = train | {"sources_or_counts": {"a": TEXTS}, "weights": {"a": 1}}
    turns = {"a": ["ab"]}
    plain = {"sources": TEXTS, "vocab_size": 257, "pattern": "gpt2", "special_tokens": []}
    counting = {
        "sources": [str(path)], "pattern": "gpt2", "text_field": "text", "documents": "auto",
        "threads": 1, "memory": "64M", "checkpoint": None, "part_bytes": 100, "progress": None,
    }  # fmt: skip
    lexicon = {
        "sources": TEXTS, "vocab_size": 260, "alpha": 0.25, "delta": 0.2, "life": 10, "tail": 0.001,
        "varied_contexts": False, "longest": 8, "epochs": 1, "seed": 0,
    }  # fmt: skip
    chunks = {
        "sources": TEXTS, "pattern": "gpt2", "weights": (4, 3), "seed": 0,
        "coarse_pattern": r"\p{N}+",
    }  # fmt: skip
    validation = {"validation": "abab", "candidates": 2, "min_frequency": 1, "threads": 1}

    def constrained(make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda given: bw.train(["ab 1"], 257, constraints=make(given))

    def by_turns(**options: Any) -> Any:
        return bw.train({"a": TEXTS}, 257, parity=bw.Parity(**options))

    def superwords(**options: Any) -> Any:
        return bw.train(TEXTS, 257, superword=bw.Superword(**options))

    morphology = bw.Morphology({"abab": ["ab", "ab"]})
    sharing = {"window": 10, "share": 2.0, "shared_merges": 0, "expected": None}
    spacing = {"transition": 1, "max_words": 2, "forbidden": [": "], "pattern": r"\p{N}+"}
    return {
        "train": (bw.train, train),
        "train on weights": (bw.train, named),
        "train by parity": (bw.train, named | {"parity": bw.Parity(turns)}),
        "train_boundless": (bw.train_boundless, plain | {"min_frequency": 1, "tau": 0.5}),
        "train_picky": (bw.train_picky, plain | {"min_frequency": 1, "tau": 0.5, "threads": 1}),
        "train_compression_aware": (bw.train_compression_aware, plain | validation),
        "train_lexicon": (bw.train_lexicon, lexicon),
        "count_chunks": (bw.count_chunks, chunks),
        "count_pretokens": (bw.count_pretokens, counting),
        "count_pretokens into": (bw.count_pretokens, counting | {"checkpoint": folder / "kept"}),
        "Digits": (constrained(bw.Digits), {"given": "left"}),
        "Digits.pattern": (bw.Digits("left").pattern, {"pattern": "gpt2"}),
        "MaxBytes": (constrained(bw.MaxBytes), {"given": 3}),
        "MaxChars": (constrained(bw.MaxChars), {"given": 3}),
        "MaxWords": (constrained(bw.MaxWords), {"given": 3}),
        "ForbiddenSubstrings": (constrained(bw.ForbiddenSubstrings), {"given": "ab"}),
        "Morphology": (constrained(bw.Morphology), {"given": {"ab": ["a", "b"]}}),
        "Morphology.segments": (morphology.segments, {"piece": b"abab"}),
        "Parity": (by_turns, {"development": turns, **sharing}),
        "Superword": (superwords, spacing),
    }


def of_what_was_trained(folder: Path) -> Calls:
    counts = bw.count_pretokens(TEXTS, pattern=None)
    counts.save(folder / "c.parquet")
    lexicon = bw.Lexicon([b"ab"])
    uses = [1] * TOK.vocab_size
    prune = {"tokenizer": TOK, "frequencies": uses, "keep": ()}
    extend = {"tokenizer": TOK, "source": TEXTS, "new_tokens": 1, "min_frequency": 1, "ties": "ids"}
    replay = {"merges": TOK, "counts": counts, "byte_order": "raw", "chunk": 10}
    return {
        "extend": (bw.extend, extend),
        "merge_vocabularies": (bw.merge_vocabularies, {"first": TOK, "second": TOK}),
        "pad_to_power_of_two": (bw.pad_to_power_of_two, {"tokenizer": TOK}),
        "prune_leaves": (bw.prune_leaves, prune | {"remove": 1, "ids": "compact"}),
        "pruning_order": (lambda **options: list(pruning_order(**options)), prune),
        "reachability": (bw.reachability, {"tokenizer": TOK}),
        "replay": (lambda **options: list(bw.replay(**options)), replay),
        "PretokenCounts.filtered": (counts.filtered, {"min_count": 1}),
        "PretokenCounts.from_arrow": (
            bw.PretokenCounts.from_arrow,
            {"table": counts.to_arrow(), "pattern": None},
        ),
        "PretokenCounts.from_dict": (
            bw.PretokenCounts.from_dict,
            {"counts": {"ab": 1}, "pattern": None},
        ),
        "PretokenCounts.load": (
            bw.PretokenCounts.load,
            {"path": folder / "c.parquet", "pattern": None},
        ),
        "PretokenCounts.merge": (bw.PretokenCounts.merge, {"parts": [counts]}),
        "PretokenCounts.most_common": (counts.most_common, {"n": 1}),
        "PretokenCounts.save": (counts.save, {"path": folder / "d.parquet"}),
        "PretokenCounts.scaled": (counts.scaled, {"factor": 2}),
        "PretokenCounts[]": (lambda piece: (counts[piece], piece in counts), {"piece": "a"}),
        "Lexicon": (bw.Lexicon, {"chunks": [b"ab"]}),
        "Lexicon.count": (lexicon.count, {"text": "ab"}),
        "Lexicon.encode": (lexicon.encode, {"text": "ab"}),
        "Lexicon.encode_array": (lexicon.encode_array, {"text": "ab"}),
        "Lexicon.decode": (lexicon.decode, {"ids": [97], "errors": "strict"}),
        "Lexicon.decode_bytes": (lexicon.decode_bytes, {"ids": [97]}),
        "Lexicon.token_bytes": (lexicon.token_bytes, {"id": 1}),
    }


def of_token_models(folder: Path) -> Calls:
    model = bw.NgramModel.fit(TOK, TEXTS)
    unbounded = bw.NgramModel.fit(TOK, TEXTS, order=None)
    model.save(folder / "m.bin")
    own = bw.CallableModel(TOK, flat_model)
    contexts = {"contexts": [IDS]}
    made = {"tokenizer": TOK, "fn": flat_model, "eos_id": None, "reach": 2}
    fit = {
        "tokenizer": TOK, "texts": TEXTS, "order": 3, "eos": "<end>", "threads": 1, "progress": None
    }  # fmt: skip
    return {
        "CallableModel": (bw.CallableModel, made),
        "CallableModel.logprobs": (own.logprobs, contexts),
        "PromptedModel": (
            bw.PromptedModel,
            {"model": model, "ids": [97], "eos_id": None, "begins": False},
        ),
        "PromptedModel.logprobs": (bw.PromptedModel(model, [97]).logprobs, contexts),
        "NgramModel.fit": (bw.NgramModel.fit, fit),
        "NgramModel.load": (bw.NgramModel.load, {"path": folder / "m.bin", "tokenizer": TOK}),
        "NgramModel.save": (model.save, {"path": folder / "n.bin"}),
        "NgramModel.match": (unbounded.match, {"context": IDS}),
        "NgramModel.logprobs": (model.logprobs, contexts | {"dtype": np.float32, "threads": 1}),
    }


def of_byte_models(folder: Path) -> Calls:
    tokens = bw.NgramModel.fit(TOK, TEXTS, eos="<end>")
    model, letters = bw.ByteModel(tokens), bw.RegexConstraint("[ab]*")
    drawing = {"temperature": 1.0, "top_p": 1.0}
    rules = {"max_bytes": 2, "utf8": "any", "constraint": letters, "seed": 1}
    filling = rules | {"stop": (), "budget": 5, "trajectories": 2}
    between = filling | {"prefix": "a", "suffix": "b", "end": False}
    calls: Calls = {}
    models: dict[str, Any] = {"ByteModel": model, "Ensemble": bw.Ensemble([model])}
    for name, one in models.items():
        calls |= {
            f"{name}.score": (one.score, {"text": "a"}),
            f"{name}.logprob": (one.logprob, {"text": "a", "end": False}),
            f"{name}.bits_per_byte": (one.bits_per_byte, {"texts": ["a"], "end": False}),
            f"{name}.prepare": (one.prepare, {"places": [one.start()], "goal": "next"}),
            f"{name}.infill": (one.infill, between | drawing | {"fim": None}),
            f"{name}.infill_candidates": (one.infill_candidates, between),
        }
    for name, one in (models | {"BaselineModel": bw.BaselineModel(tokens)}).items():
        sampling = rules | drawing | {"prompt": "a", "stop": (), "ends": "text"}
        calls[f"{name}.start"] = one.start, {"prefix": "a"}
        calls[f"{name}.sample"] = one.sample, sampling
    for name, place in {
        "ByteState": model.start(),
        "EnsembleState": models["Ensemble"].start(),
        "BaselinePlace": bw.BaselineModel(tokens).start(),
    }.items():
        calls[f"{name}.advance"] = (
            lambda data, place=place: place.fork().advance(data),
            {"data": b"a"},
        )
    ensemble = {"models": [model], "weights": [1.0], "share": 0.02, "eta": 0.05}
    for rule in ("bayes", "fixed_share", "online"):
        calls[f"Ensemble {rule}"] = bw.Ensemble, ensemble | {"rule": rule}
    form = bw.FimFormat.psm("<pre>", "<suf>", "<mid>", end="<end>")
    opened = form.open(model, "a", "b")
    around = {"prefix": "<pre>", "suffix": "<suf>", "middle": "<mid>", "end": "<end>"}
    for kind in ("psm", "spm", "lines"):
        marks = {"starts": "<pre>", "ends": "<suf>"} if kind == "lines" else {}
        calls[f"FimFormat.{kind}"] = (
            lambda kind=kind, **names: getattr(bw.FimFormat, kind)(**names).prompt(TOK, "a", "b"),
            around | marks,
        )
    baseline = {
        "model": tokens,
        "method": "healing",
        "back": 1,
        "semantics": "valid",
        "epsilon": 0.1,
    }
    weighted = rules | {"source": model, "prompt": "a", "particles": 2, "ends": "text"}
    page = {"models": {"a": model}, "text": "ab", "path": folder / "p.html", "title": None}
    translated = bw.TranslatedModel(model, TOK)
    free = {name: value for name, value in filling.items() if name != "constraint"}
    whole = {"whole": lambda text: True, "begins": None}
    others: Calls = {
        "Ensemble": calls["Ensemble bayes"],
        "ByteModel": (
            bw.ByteModel,
            {"model": tokens, "semantics": "valid", "epsilon": 0.0, "memory": "1M"},
        ),
        "ByteModel.given": (model.given, {"text": "a"}),
        "Ensemble.given": (bw.Ensemble([model]).given, {"text": "a"}),
        "ByteModel.behind": (model.behind, {"ids": [97], "eos_id": None, "begins": False}),
        "ByteModel.infill told": (
            model.infill,
            free
            | drawing
            | {
                "prefix": "a",
                "suffix": "b",
                "end": False,
                "fim": form,
            },
        ),
        "ByteState.paths": (model.start("a").paths, {"count": 2, "last": 1}),
        "ByteDistribution.top": (model.start().next().top, {"count": 3}),
        "BaselineModel": (lambda **given: bw.BaselineModel(**given).start("a"), baseline),
        "CallableConstraint": (bw.CallableConstraint, whole),
        "CallableConstraint.start": (bw.CallableConstraint(len).start, {"prompt": b"a"}),  # type: ignore[arg-type]
        "ChoiceConstraint": (bw.ChoiceConstraint, {"choices": ["a"]}),
        "ChoiceConstraint.start": (bw.ChoiceConstraint(["a"]).start, {"prompt": b"a"}),
        "RegexConstraint": (bw.RegexConstraint, {"pattern": "a"}),
        "RegexConstraint.start": (letters.start, {"prompt": b"a"}),
        "AllOf": (lambda given: bw.AllOf(given), {"given": letters}),
        "AllOf.start": (bw.AllOf(letters).start, {"prompt": b"a"}),
        "FimFormat": (
            lambda **given: bw.FimFormat(**given).prompt(TOK, "a", "b"),
            {"parts": form.parts, "end": "<end>"},
        ),
        "FimFormat.open": (form.open, {"model": model, "prefix": "a", "suffix": "b"}),
        "FimFormat.prompt": (form.prompt, {"tokenizer": TOK, "prefix": "a", "suffix": "b"}),
        "FimPrompt.candidates": (opened.candidates, free),
        "FimPrompt.draw": (opened.draw, free | drawing),
        "Infilling.draw": (
            model.infill_candidates("a", "b", max_bytes=2).draw,
            drawing | {"seed": 1},
        ),
        "TranslatedModel": (
            bw.TranslatedModel,
            {"teacher": model, "tokenizer": TOK, "epsilon": 0.01, "budget": 10},
        ),
        "TranslatedModel.next": (translated.next, {"context": "a"}),
        "TranslatedModel.logprobs": (translated.logprobs, {"contexts": [IDS]}),
        "NextTokens.top": (translated.next("a").top, {"count": 2}),
        "score_tokens": (bw.score_tokens, {"teacher": model, "tokenizer": TOK, "text": "ab"}),
        "sample_weighted": (bw.sample_weighted, weighted | {"temperature": 1.0}),
        "byte_page": (bw.byte_page, page | {"progress": None}),
        "compress": (compress, {"model": model, "data": b"ab", "progress": None}),
        "decompress": (
            decompress,
            {"model": model, "data": compress(model, b"ab"), "progress": None},
        ),
        "ByteModel.score, telling": (model.score, {"text": "a", "progress": None}),
    }
    return calls | others


ROOMS = (of_tokenizer, of_corpus, of_training, of_what_was_trained, of_token_models, of_byte_models)

# What needs a library that may not be there, is made of a manifest, or is inherited by others.
ELSEWHERE = {
    "InfillingPredictor", "LlamaCppModel", "Part", "SamplingPredictor", "ScoringPredictor",
    "TransformersModel", "VllmModel",
}  # fmt: skip
INHERITED = {"given", "infill", "infill_candidates", "prepare", "sample", "start"}


def wrong(name: str, known: Any, *, long: bool) -> Iterator[Any]:
    """What an argument is replaced by; a function given by the caller may fail as it likes."""
    for value in FEW + MANY if long else FEW:
        large = name in AMOUNTS and isinstance(value, int) and value > 99
        called = callable(value) and (callable(known) or name in ("begins", "progress", "given"))
        if not large and not called:
            yield value


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_no_argument_brings_forth_an_error_of_python(
    room: Callable[[Path], Calls],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # Some of the wrong values are names of files.
    long, found = request.config.getoption("--long"), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (call, known) in room(tmp_path).items():
            call(**known)
            for argument in known:
                for value in wrong(argument, known[argument], long=long):
                    try:
                        call(**known | {argument: value})
                    except bw.BytewrightError:
                        pass
                    except Exception as error:
                        found.append(f"{name}({argument}={value!r:.40}): {error!r:.100}")
    assert not found, "\n".join(found)


# Whole numbers that may be left out, or written otherwise.
ALSO_WHOLE = {"bos": 97, "eos_id": 3, "memory": 64 << 20}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_whole_numbers_may_be_of_numpy_but_not_true(
    room: Callable[[Path], Calls], tmp_path: Path
) -> None:
    found, looked = [], 0
    for name, (call, known) in room(tmp_path).items():
        for argument, value in known.items():
            number = ALSO_WHOLE.get(argument, value)
            # An id is looked up as in a list, which takes True too.
            if type(number) is not int or name == "Tokenizer.token_bytes":
                continue
            looked += 1
            for same in (np.int64(number), np.uint64(number)):
                try:
                    call(**known | {argument: same})
                except bw.BytewrightError as error:
                    found.append(f"{name}({argument}={same!r}): {error!r:.100}")
            for other in (True, np.True_, float(number), np.array(number)):
                try:
                    call(**known | {argument: other})
                except bw.ArgumentTypeError:
                    continue
                found.append(f"{name}({argument}={other!r}) is taken for a number")
    assert not found, "\n".join(found)
    assert looked > 3


def _public() -> Iterator[str]:
    """Functions, classes that are called and methods with arguments, of what is exported."""
    for name in bw.__all__:
        thing = getattr(bw, name)
        if not inspect.isclass(thing):
            if callable(thing):
                yield name
            continue
        if getattr(thing, "_is_protocol", False) or issubclass(thing, (Exception, bw.FimPart)):
            continue
        for method, function in inspect.getmembers(thing, callable):
            least = 1 if inspect.ismethod(function) else 2
            if not method.startswith("_") and len(inspect.signature(function).parameters) >= least:
                yield f"{name}.{method}"


def test_every_public_function_and_method_is_in_the_table(tmp_path: Path) -> None:
    tested = {name for room in ROOMS for name in room(tmp_path)}
    missing = [
        name
        for name in _public()
        if name not in tested
        and name.partition(".")[0] not in ELSEWHERE
        and not (name.startswith("FimPrompt.") and name.partition(".")[2] in INHERITED)
    ]
    assert missing == []

"""What formats read and write is what the reference libraries say about the same files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiktoken
import tiktoken.load
import tokenizers
from conftest import read_zst, shared_path
from gguf import GGUFReader
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from tiny_vocabularies import (
    PIECES,
    dumped,
    gguf,
    gguf_keys,
    ranks,
    tekken,
    tokenizer_json,
)
from tiny_vocabularies import (
    sentencepiece as spm_model,
)

import bytewright as bw
from bytewright import formats
from bytewright.definition import ADDED, FALLBACK, SPECIAL, Definition, build, make_header
from bytewright.formats.byte_level import STAND_INS

SHARED = shared_path()
VOCABS = [] if SHARED is None else sorted(p.stem for p in (SHARED / "data/vocabs").glob("*.zst"))


def named(*suffixes: str) -> list[str]:
    return [name for name in VOCABS if name.endswith(suffixes)]


@cache
def unpacked(folder: Path, name: str) -> Path:
    assert SHARED is not None
    (folder / name).write_bytes(read_zst(SHARED / "data/vocabs" / f"{name}.zst"))
    return folder / name


@pytest.fixture(scope="session")
def vocab(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of a reference vocabulary, by name."""
    if SHARED is None:
        pytest.skip("no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none")
    folder = tmp_path_factory.mktemp("vocabs")
    return lambda name: unpacked(folder, name)


def added_of(read: Definition) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(read.header)["added"]
    return entries


def written(tmp_path: Path, data: bytes, **arguments: Any) -> Definition:
    file = tmp_path / "vocabulary"
    file.write_bytes(data)
    return formats.read(file, **arguments)


# Structure


@pytest.mark.parametrize("name", named(".tokenizer.json"))
def test_a_tokenizer_json_has_the_tokens_of_tokenizers(
    vocab: Callable[[str], Path], name: str
) -> None:
    reference = tokenizers.Tokenizer.from_file(str(vocab(name)))
    read = formats.read(vocab(name))
    texts = reference.get_vocab(with_added_tokens=True)
    assert sum(kind != 0 for kind in read.kinds) == len(texts) == reference.get_vocab_size()
    specials = {i: t for i, t in reference.get_added_tokens_decoder().items()}
    assert {entry["id"]: entry["content"] for entry in added_of(read)} == {
        i: token.content for i, token in specials.items()
    }
    for entry in added_of(read):
        token = specials[entry["id"]]
        assert bool(read.kinds[entry["id"]] & SPECIAL) == entry["special"] == token.special
        for flag in ("single_word", "lstrip", "rstrip", "normalized"):
            assert entry[flag] == getattr(token, flag)


@pytest.mark.parametrize("name", named(".tokenizer.json"))
def test_merges_of_a_tokenizer_json_join_the_parts_it_names(
    vocab: Callable[[str], Path], name: str
) -> None:
    root = json.loads(vocab(name).read_bytes())["model"]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in root["merges"]]
    ids = root["vocab"]
    expected = [[ids[a], ids[b], ids[a + b]] for a, b in pairs]
    assert formats.read(vocab(name)).merge_rows().tolist() == expected


@pytest.mark.parametrize("name", [n for n in named(".tokenizer.json") if "phi-3" not in n])
def test_byte_level_tokens_have_the_bytes_that_tokenizers_decodes(
    vocab: Callable[[str], Path], name: str
) -> None:
    reference = tokenizers.Tokenizer.from_file(str(vocab(name)))
    tokens = formats.read(vocab(name)).tokens()
    rng = random.Random(0)
    for token_id in rng.sample(range(len(tokens)), 500):
        token = tokens[token_id]
        if token is None:
            continue
        decoded = reference.decode([token_id], skip_special_tokens=False)
        assert token.decode("utf-8", "replace") == decoded, token_id


@pytest.mark.parametrize("name", named(".tiktoken"))
def test_ranks_are_what_tiktoken_loads(vocab: Callable[[str], Path], name: str) -> None:
    expected = tiktoken.load.load_tiktoken_bpe(str(vocab(name)))
    read = formats.read(vocab(name), pattern="gpt2", special_tokens=())
    assert {t: i for i, t in enumerate(read.tokens()) if t is not None} == expected


def test_published_ranks_are_recognised_by_their_hash(vocab: Callable[[str], Path]) -> None:
    read = formats.read(vocab("cl100k_base.tiktoken"))
    reference = {entry["content"]: entry["id"] for entry in added_of(read)}
    assert reference["<|endofprompt|>"] == 100276
    assert read.rules()["pattern"] == "cl100k"
    gap = formats.read(vocab("p50k_base.tiktoken"))
    assert gap.tokens()[50256] == b"<|endoftext|>"
    assert gap.kinds[50256] == ADDED | SPECIAL


def test_tekken_has_the_tokens_of_mistral_common(vocab: Callable[[str], Path]) -> None:
    reference = Tekkenizer.from_file(vocab("tekken_240718.json"))
    read = formats.read(vocab("tekken_240718.json"))
    tokens = read.tokens()
    assert len(tokens) == reference.n_words
    assert [t for t in tokens[:1000] if t] == [
        reference.id_to_piece(i).encode() for i in range(1000)
    ]
    for token_id in range(1000, len(tokens), 97):
        assert tokens[token_id] == reference.id_to_byte_piece(token_id)


@pytest.mark.parametrize("name", named(".spm.model"))
def test_pieces_have_the_types_of_sentencepiece(vocab: Callable[[str], Path], name: str) -> None:
    reference = sentencepiece.SentencePieceProcessor(model_file=str(vocab(name)))
    read = formats.read(vocab(name))
    tokens = read.tokens()
    assert len(tokens) == reference.vocab_size()
    kinds = {entry["id"]: entry["special"] for entry in added_of(read)}
    for token_id in range(len(tokens)):
        piece = reference.id_to_piece(token_id)
        assert kinds.get(token_id, False) == reference.is_control(token_id)
        assert bool(read.kinds[token_id] & FALLBACK) == reference.is_byte(token_id)
        if reference.is_byte(token_id):
            assert tokens[token_id] == bytes([int(piece[3:5], 16)])
        elif not reference.is_unknown(token_id):
            assert tokens[token_id] == piece.replace("▁", " ").encode()


@pytest.mark.parametrize("name", named(".gguf"))
def test_gguf_tokens_are_those_of_the_gguf_package(vocab: Callable[[str], Path], name: str) -> None:
    fields = {k: f.contents() for k, f in GGUFReader(vocab(name)).fields.items()}
    texts = fields["tokenizer.ggml.tokens"]
    types = fields["tokenizer.ggml.token_type"]
    read = formats.read(vocab(name))
    tokens = read.tokens()
    byte_level = fields["tokenizer.ggml.model"] == "gpt2"
    assert len(tokens) == len(texts)
    for token_id, (text, kind) in enumerate(zip(texts, types, strict=True)):
        if kind == 1 and byte_level:
            assert tokens[token_id] == bytes(STAND_INS.index(c) for c in text)
        elif kind == 1:
            assert tokens[token_id] == text.replace("▁", " ").encode()
    if byte_level:
        named_merges = fields["tokenizer.ggml.merges"]
        rows = read.merge_rows().tolist()
        assert [f"{texts[a]} {texts[b]}" for a, b, _ in rows] == named_merges


def test_a_folder_of_two_files_equals_the_tokenizer_json(
    vocab: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "vocab.json").write_bytes(vocab("gpt2.vocab.json").read_bytes())
    (tmp_path / "merges.txt").write_bytes(vocab("gpt2.merges.txt").read_bytes())
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<|endoftext|>"}')
    folder = formats.read(tmp_path)
    single = formats.read(vocab("gpt2.tokenizer.json"))
    for part in ("arena", "offsets", "kinds", "merges"):
        assert getattr(folder, part) == getattr(single, part)


def test_files_are_recognised_by_content(tmp_path: Path) -> None:
    wanted = {
        "hf": dumped(tokenizer_json()),
        "tekken": dumped(tekken(b"he")),
        "spm": spm_model(),
        "gguf": gguf(*gguf_keys()),
    }
    for data in wanted.values():
        assert written(tmp_path, data).vocab_size > 256
    assert written(tmp_path, ranks(b"he"), pattern="gpt2").vocab_size == 257


# Writing

REWRITTEN = [*named(".tokenizer.json", ".tiktoken", ".gguf"), *named("v1.spm.model")]


def load_reference(vocab: Callable[[str], Path], name: str) -> bw.Tokenizer:
    arguments = {"pattern": "llama3"} if "torchtune-tiktoken" in name else {}
    return bw.Tokenizer.load(vocab(name), **arguments)


def hard_texts(rng: random.Random, tok: bw.Tokenizer, count: int) -> Iterator[str]:
    """Random text around what is hard: spaces, digits, scripts, marks and added tokens."""
    contents = list(tok.special_tokens)
    pools = [
        " \t\n\r\u00a0",
        "0123456789٣",
        "aeTHIsß'",
        "日本語テ",
        "e\u0301n\u0303",
        "🙂👍🏽",
        ".,!?-/",
    ]
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(1, 10)):
            if contents and rng.random() < 0.15:
                parts.append(rng.choice(contents))
            else:
                parts.append("".join(rng.choices(rng.choice(pools), k=rng.randrange(1, 5))))
        yield "".join(parts)


@pytest.mark.parametrize("name", REWRITTEN)
def test_a_written_tokenizer_json_behaves_the_same_in_tokenizers(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = load_reference(vocab, name)
    file = tmp_path / "tokenizer.json"
    tok.save(file)
    reference = tokenizers.Tokenizer.from_file(str(file))
    again = bw.Tokenizer.load(file)
    for text in hard_texts(random.Random(2), tok, 300):
        ids = tok.encode(text, allowed_special="all")
        assert reference.encode(text, add_special_tokens=False).ids == ids, text
        assert again.encode(text, allowed_special="all") == ids, text
        assert again.encode(text) == tok.encode(text), text
        assert again.decode_bytes(ids) == tok.decode_bytes(ids), text


@pytest.mark.parametrize("changes", [((3, 0), (4, 0)), ((3, 0), (4, 0), (5, 0))])
def test_written_user_defined_pieces_behave_the_same_in_tokenizers(
    changes: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    space = " " if len(changes) == 3 else "▁"
    defined = [("<x>", 0.0, 4), (f"lo{space}w", 0.0, 4), (f"{space}h", 0.0, 4)]
    file = tmp_path / "tokenizer.model"
    file.write_bytes(spm_model(pieces=[*PIECES, *defined], normalizer=changes))
    tok = bw.Tokenizer.load(file)
    tok.save(tmp_path / "tokenizer.json")
    reference = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    again = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    rng = random.Random(3)
    pool = ["<x>", f"lo{space}w", " h", "lo", "w", " ", "▁", "hello", "é"]
    for _ in range(500):
        text = "".join(rng.choices(pool, k=rng.randrange(1, 9)))
        ids = tok.encode(text)
        assert reference.encode(text, add_special_tokens=False).ids == ids, text
        assert again.encode(text) == ids, text


def test_user_defined_pieces_after_a_space_cannot_be_written(
    vocab: Callable[[str], Path], tmp_path: Path
) -> None:
    tok = bw.Tokenizer.load(vocab("mistral-v3.spm.model"))
    with pytest.raises(bw.UnsupportedError, match="user-defined piece"):
        tok.save(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("name", [*named(".tiktoken"), "tekken_240718.json"])
def test_written_ranks_behave_the_same_in_tiktoken(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = load_reference(vocab, name)
    file = tmp_path / "written.tiktoken"
    tok.save(file)
    if name.endswith(".tiktoken"):
        assert file.read_bytes() == vocab(name).read_bytes().rstrip(b"\n") + b"\n"
    regex = formats.pattern_steps(tok.pattern or "")[0]["regex"]
    reference = tiktoken.Encoding(
        name="written",
        pat_str=str(regex),
        mergeable_ranks=tiktoken.load.load_tiktoken_bpe(str(file)),
        special_tokens=dict(tok.special_tokens),
    )
    for text in hard_texts(random.Random(3), tok, 300):
        ids = reference.encode(text, allowed_special="all")
        assert tok.encode(text, allowed_special="all") == ids, text


@pytest.mark.parametrize("name", ["gpt2.tokenizer.json", "olmo-neox-dolma-v1_5.tokenizer.json"])
def test_ranks_that_are_no_merge_order_are_refused(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = bw.Tokenizer.load(vocab(name))
    if name.startswith("gpt2"):
        tok.save(tmp_path / "x.tiktoken")
        return
    with pytest.raises(bw.UnsupportedError, match="tiktoken ranks cannot say"):
        tok.save(tmp_path / "x.tiktoken")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["gap.json", "gap.tiktoken"])
def test_ids_behind_the_last_token_are_refused(name: str, tmp_path: Path) -> None:
    """They would be lost in silence; a gap before the last token is kept."""
    tokens = [bytes([byte]) for byte in range(256)]
    header = make_header(
        unit="byte", byte_units=range(256), pretokenizer=formats.pattern_steps("gpt2")
    )
    for size, kinds in ((258, [1] * 256 + [0, 0]), (257, [1] * 256 + [0])):
        made = build([*tokens, *[None] * (size - 256)], kinds=kinds, merges=[], header=header)
        with pytest.raises(bw.UnsupportedError, match=f"{size - 256} ids .* 256 to {size - 1}"):
            bw.Tokenizer(made).save(tmp_path / name)
    kinds = [1] * 255 + [0, 1]
    header["byte_units"] = [*range(255), 256]
    made = build([*tokens[:255], None, b"\xff"], kinds=kinds, merges=[], header=header)
    bw.Tokenizer(made).save(tmp_path / name)
    pattern = "gpt2" if name.endswith("tiktoken") else None
    again = bw.Tokenizer.load(tmp_path / name, pattern=pattern)
    assert again.definition.tokens() == made.tokens()


@pytest.mark.parametrize("order", ["raw", "gpt2"])
def test_special_tokens_of_letters_that_stand_for_bytes_decode(order: Any, tmp_path: Path) -> None:
    """The reference takes a token of such letters only for the bytes that they stand for."""
    special = [
        "<|\u00e9|>",
        "\u0120(a\\d)*[x]^$",
        "<\u00c3\u00a9>",
        "<\u00e9>",
        "<|\uff5c\u00e9|>",
        "<a>",
    ]
    texts = ["low lower lowest caf\u00e9 caf\u00e9"]
    tok = bw.train(texts, 268, pattern="gpt2", special_tokens=special, byte_order=order)
    tok.save(tmp_path / "saved.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "saved.json"))
    again = bw.Tokenizer.load(tmp_path / "saved.json")
    for text in [*special, *texts, "".join(special) + " \u00e9 \u00c3\u00a9" + special[0]]:
        ids = tok.encode(text, allowed_special="all")
        assert theirs.encode(text, add_special_tokens=False).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == text == again.decode(ids)
    root = json.loads((tmp_path / "saved.json").read_text())
    root["decoder"]["decoders"][0]["content"] = "x"
    (tmp_path / "other.json").write_text(json.dumps(root))
    with pytest.raises(bw.UnsupportedError, match="decoder Replace"):
        bw.Tokenizer.load(tmp_path / "other.json")


def test_saving_leaves_no_half_file(tmp_path: Path) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")])
    with pytest.raises(bw.ArgumentError, match=r"only \.json and \.tiktoken"):
        tok.save(tmp_path / "x.model")
    with pytest.raises(bw.DataError):
        tok.save(tmp_path / "nowhere" / "x.json")
    tok.save(tmp_path / "x.json")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]

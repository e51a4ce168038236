"""Small tokenizers in the file formats of the real ones, for the tiny test pipelines.

The vocabularies are trained on the sentences below, which mix scripts so that merges cross byte boundaries and some
characters stay unknown to the unigram model.
"""

import base64
import collections
import json
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

CORPUS = """
a bright park scene with a boy and a girl sitting on a bench, smiling at each other
between them, a cute puppy is sitting on the bench
a photograph of an old wooden boat on a quiet lake at sunrise, mist over the water
the little red house stands at the end of the road beside three tall trees
a capybara holding a sign that reads hello world, oil painting, detailed brush strokes
portrait of a woman with a pearl necklace, soft light, film grain, 35mm
it's 1920's paris, they're walking in the rain, we've seen the café and the théâtre
a city street at night, neon lights, reflections, rain, cinematic, wide angle
blurry, low quality, watermark, text, extra fingers, bad anatomy, ugly
watercolour of mountains and rivers, ink on paper, brush, calligraphy
une petite maison près de la forêt, ciel bleu, été, garçon et fille
ein großer grüner Baum über dem Fluss, schöne Brücke, Mädchen
una niña pequeña con un perro en el jardín, mañana
маленький дом у реки, красивый закат, девушка и собака
ένα μικρό σπίτι δίπλα στη θάλασσα
公園 の ベンチ に 座る 男の子 と 女の子
a cat, a dog, a bird, a fish and the sun in the sky with stars and the moon
the quick brown fox jumps over the lazy dog; the dog sleeps in the garden
""".strip().splitlines()

START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet():
    """The printable character that byte-level BPE writes for each of the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}


def train_clip_merges(count):
    alphabet = byte_alphabet()
    words = collections.Counter()
    for line in CORPUS:
        for word in unicodedata.normalize("NFC", line).lower().split():
            symbols = [alphabet[b] for b in word.encode()]
            words[tuple(symbols[:-1] + [symbols[-1] + "</w>"])] += 1
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = collections.Counter({merge_pair(word, best): n for word, n in words.items()})
    return merges


def merge_pair(word, pair):
    merged, i = [], 0
    while i < len(word):
        if word[i : i + 2] == pair:
            merged.append(word[i] + word[i + 1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_clip_tokenizer(folder, merges, pad):
    """Writes vocab.json, merges.txt and the two configs; pad is `<|endoftext|>` for CLIP-L and `!` for CLIP-G."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = list(byte_alphabet().values())
    pieces = letters + [c + "</w>" for c in letters] + ["".join(pair) for pair in merges] + [START, END]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, separators=(",", ":")))
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")

    def token(content, normalized):
        return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}

    added = {str(vocab[t]): {**token(t, t == START), "special": True} for t in dict.fromkeys([pad, START, END])}
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": dict(sorted(added.items(), key=lambda item: int(item[0]))),
            "bos_token": START,
            "clean_up_tokenization_spaces": True,
            "do_lower_case": True,
            "eos_token": END,
            "errors": "replace",
            "model_max_length": 77,
            "pad_token": pad,
            "tokenizer_class": "CLIPTokenizer",
            "unk_token": END,
        },
    )
    write_json(
        folder / "special_tokens_map.json",
        {"bos_token": token(START, True), "eos_token": token(END, False), "pad_token": pad, "unk_token": token(END, False)},
    )
    return vocab


def charsmap_rules():
    """A normalisation table of a few hundred rules; the real one, nmt_nfkc, weighs 230 kB."""
    rules = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\ufb01": "fi", "\ufb02": "fl", "½": "1/2"}
    rules |= {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}
    rules |= {c: "" for c in map(chr, [*range(1, 9), *range(14, 32), 0x7F, 0x200B, 0xFEFF])}
    for c in map(chr, range(0xC0, 0x180)):
        decomposed = unicodedata.normalize("NFD", c)
        if len(decomposed) == 2:
            rules[decomposed] = c
    return rules


def hex_codes(text):
    return " ".join(f"{ord(c):X}" for c in text)


def train_sentencepiece(pieces):
    """The bytes of a unigram spiece.model."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch, "corpus.txt")
        corpus.write_text("\n".join(CORPUS) + "\n")
        table = Path(scratch, "rules.tsv")
        table.write_text("".join(f"{hex_codes(a)}\t{hex_codes(b)}\n" for a, b in charsmap_rules().items()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(Path(scratch, "spiece")), model_type="unigram", vocab_size=pieces,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", character_coverage=0.985, num_threads=1,
            hard_vocab_limit=False, normalization_rule_tsv=str(table), minloglevel=2,
        )
        model = sentencepiece_model_pb2.ModelProto.FromString(Path(scratch, "spiece.model").read_bytes())
    # The trainer records the paths of its scratch folder; without them a second run writes the same bytes.
    model.trainer_spec.ClearField("input")
    model.trainer_spec.ClearField("model_prefix")
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    return model.SerializeToString(deterministic=True)


def as_stable_diffusion(charsmap):
    """How the real repositories write T5's rules, and the field by which transformers 4 replaced them with its own; transformers 5
    and fude take only the table from here."""
    normalizer = {
        "type": "Sequence",
        "normalizers": [
            charsmap,
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
        ],
    }
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    rules = {"normalizer": normalizer, "pre_tokenizer": {**metaspace, "prepend_scheme": "first"},
             "decoder": {**metaspace, "prepend_scheme": "always"}}
    return rules, {"add_prefix_space": True}


def as_meant(charsmap):
    """The rules of T5Tokenizer in transformers 5, which are fude's too, written out. transformers 4 reads them from here, so such a
    folder means the same to all three: each word starts with a space."""
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    words = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    return {"normalizer": charsmap, "pre_tokenizer": words, "decoder": metaspace}, {}


def write_t5_tokenizer(folder, serialized, rules=as_stable_diffusion, extra_ids=100):
    """Writes tokenizer.json and the configs for a spiece.model, and that. Returns the number of ids."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(serialized)
    model = sentencepiece_model_pb2.ModelProto.FromString(serialized)
    vocab = [[p.piece, p.score] for p in model.pieces]
    vocab += [[f"<extra_id_{i}>", 0.0] for i in range(extra_ids - 1, -1, -1)]
    special = [*range(3), *range(len(model.pieces), len(vocab))]
    eos = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    written, config = rules({"type": "Precompiled", "precompiled_charsmap": charsmap})
    write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": i, "content": vocab[i][0], "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": True}
                for i in special
            ],
            "normalizer": written["normalizer"],
            "pre_tokenizer": written["pre_tokenizer"],
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [first, eos],
                "pair": [first, eos, second, eos],
                "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
            },
            "decoder": written["decoder"],
            "model": {"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": False},
        },
    )
    extra = [f"<extra_id_{i}>" for i in range(extra_ids)]
    added = {
        str(i): {"content": vocab[i][0], "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                 "special": True}
        for i in special
    }
    write_json(
        folder / "tokenizer_config.json",
        {
            **config,
            "added_tokens_decoder": added,
            "additional_special_tokens": extra,
            "clean_up_tokenization_spaces": True,
            "eos_token": "</s>",
            "extra_ids": extra_ids,
            "legacy": True,
            "model_max_length": 512,
            "pad_token": "<pad>",
            "sp_model_kwargs": {},
            "tokenizer_class": "T5Tokenizer",
            "unk_token": "<unk>",
        },
    )
    write_json(
        folder / "special_tokens_map.json",
        {"additional_special_tokens": extra, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
    )
    return len(vocab)

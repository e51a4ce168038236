"""Builds the three tokenizers, in the file formats of SD3.5, from the generator's own captions.

tokenizer_3 is written `as_meant`: with the rules that transformers 5 and fude have whatever a file says, so that transformers 4, which
reads the rules of the file, gives the same ids."""

import argparse
import json
import random
import string
import sys
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from scenes import make_scene
from text import clip_pre_tokenizer

sys.path.append(str(Path(__file__).resolve().parent.parent))
import tiny_tokenizers

CLIP_MERGES = 900
T5_PIECES = 660


def train_clip_merges(captions):
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = clip_pre_tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=512 + CLIP_MERGES, end_of_word_suffix="</w>", show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator((c.lower() for c in captions), trainer)
    return [tuple(m) for m in json.loads(bpe.to_str())["model"]["merges"]]


def train_sentencepiece(captions):
    with tempfile.TemporaryDirectory() as scratch:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(captions), model_prefix=f"{scratch}/spiece", vocab_size=T5_PIECES, model_type="unigram",
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, minloglevel=2, num_threads=2,
            required_chars="".join(c for c in string.printable if not c.isspace()))
        return Path(scratch, "spiece.model").read_bytes()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="../../models/demo")
    parser.add_argument("--scenes", type=int, default=30000)
    args = parser.parse_args()
    rng = random.Random(7)
    captions = [caption for _ in range(args.scenes) for caption in make_scene(rng).captions]
    merges = train_clip_merges(captions)
    for name, pad in (("tokenizer", tiny_tokenizers.END), ("tokenizer_2", "!")):
        entries = tiny_tokenizers.write_clip_tokenizer(Path(args.out, name), merges, pad)
    pieces = tiny_tokenizers.write_t5_tokenizer(Path(args.out, "tokenizer_3"), train_sentencepiece(captions), tiny_tokenizers.as_meant)
    print(f"CLIP: {len(entries)} entries, T5: {pieces} entries")


if __name__ == "__main__":
    main()

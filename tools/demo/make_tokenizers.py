"""Builds the three tokenizers, in the file formats of SD3.5, from the generator's own captions."""

import argparse
import json
import random
import string
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5TokenizerFast
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from scenes import make_scene
from text import clip_pre_tokenizer

CLIP_MERGES = 900
T5_PIECES = 640


def clip_vocabulary(captions):
    """CLIP's layout: the byte alphabet, the same with </w>, one entry per merge in order, then start and end."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = clip_pre_tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=512 + CLIP_MERGES, end_of_word_suffix="</w>", show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator((c.lower() for c in captions), trainer)
    merges = [tuple(m) for m in json.loads(bpe.to_str())["model"]["merges"]]
    alphabet = list(bytes_to_unicode().values())
    entries = alphabet + [c + "</w>" for c in alphabet] + [a + b for a, b in merges] + ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(entries)) == len(entries)
    return {entry: index for index, entry in enumerate(entries)}, merges


def write_clip(folder: Path, captions):
    vocabulary, merges = clip_vocabulary(captions)
    for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
        (folder / name / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        files = str(folder / name / "vocab.json"), str(folder / name / "merges.txt")
        CLIPTokenizer(*files, pad_token=pad, model_max_length=77).save_pretrained(folder / name)
    return len(vocabulary)


def write_t5(folder: Path, captions):
    target = folder / "tokenizer_3"
    target.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions), model_prefix=str(target / "spiece"), vocab_size=T5_PIECES, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, minloglevel=2, num_threads=2,
        required_chars="".join(c for c in string.printable if not c.isspace()))
    (target / "spiece.vocab").unlink()
    tokenizer = T5TokenizerFast(vocab_file=str(target / "spiece.model"), extra_ids=100, model_max_length=512)
    tokenizer.save_pretrained(target)
    return len(tokenizer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="../../models/demo")
    parser.add_argument("--scenes", type=int, default=30000)
    args = parser.parse_args()
    rng = random.Random(7)
    captions = [caption for _ in range(args.scenes) for caption in make_scene(rng).captions]
    print(f"CLIP: {write_clip(Path(args.out), captions)} entries, T5: {write_t5(Path(args.out), captions)} entries")


if __name__ == "__main__":
    main()

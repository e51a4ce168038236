"""Captions to token ids for training, from the exported tokenizer files but in one fast batch. check_export.py holds this to
what transformers' own tokenizers give."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers


def clip_pre_tokenizer():
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
    return pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "removed", invert=True),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


class Text:
    def __init__(self, model_folder):
        folder = Path(model_folder)
        vocabulary = json.loads((folder / "tokenizer/vocab.json").read_text())
        merges = [tuple(line.split()) for line in (folder / "tokenizer/merges.txt").read_text().splitlines()[1:]]
        self.clip = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>"))
        self.clip.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        self.clip.pre_tokenizer = clip_pre_tokenizer()
        self.start, self.end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
        self.clip_vocabulary = len(vocabulary)
        self.t5 = Tokenizer.from_file(str(folder / "tokenizer_3/tokenizer.json"))
        self.t5_vocabulary = self.t5.get_vocab_size()

    def __call__(self, captions, clip_tokens=77, t5_tokens=256):
        """Ids for CLIP-L [n,clip_tokens], CLIP-G and T5 [n,t5_tokens], padded as the pipeline pads them."""
        clip = np.full((len(captions), clip_tokens), self.end, np.int16)
        for row, encoding in zip(clip, self.clip.encode_batch(captions, add_special_tokens=False)):
            ids = encoding.ids[:clip_tokens - 2]
            row[:len(ids) + 2] = [self.start, *ids, self.end]
        past_end = np.cumsum(clip == self.end, 1) > 1
        clip_2 = np.where(past_end, 0, clip).astype(np.int16)
        t5 = np.zeros((len(captions), t5_tokens), np.int16)
        for row, encoding in zip(t5, self.t5.encode_batch(captions, add_special_tokens=False)):
            ids = encoding.ids[:t5_tokens - 1]
            row[:len(ids) + 1] = [*ids, 1]
        return clip, clip_2, t5

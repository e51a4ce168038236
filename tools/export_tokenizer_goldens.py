#!/usr/bin/env python3
"""Writes the tokenizer test set: strings of many scripts with the ids that Hugging Face gives them.

The vocabularies are those of the real checkpoints, read from $FUDE_TOKENIZER_DATA (clip/ and t5/); only strings and
ids are stored. The tokenizers are what diffusers loads: CLIPTokenizer and T5TokenizerFast of the installed transformers,
from folders with the configs that SD3.5 has. Code points are older than Unicode 15, so that tables of different age agree
about them.
"""

import argparse
import itertools
import json
import os
import random
import tempfile
import unicodedata
from pathlib import Path

from transformers import CLIPTokenizer, T5TokenizerFast

import make_checkpoint

REPOSITORY = Path(__file__).resolve().parent.parent

PROMPTS = [
    "",
    "a photo of a cat",
    "A capybara holding a sign that reads Hello World!",
    "Hello!! It's 1920's café, 東京 🚀",
    "  multiple   spaces\tand\nnewline  ",
    "ﬁne ½ Ⅷ ｆｕｌｌ",
    "x</s>y",
    "A bright park scene with a boy and a girl sitting on a bench, smiling at each other. Between them, a cute puppy "
    "is sitting on the bench.",
    "cinematic photo of an astronaut riding a horse, 35mm, f/1.4, 8k uhd, (masterpiece:1.3), [best quality]",
    "I'm you're he's we've they'll she'd don't can't O'Neill's rock'n'roll 'tis 's 't 're 've 'm 'll 'd 'S 'LL",
    "Don’t use “smart quotes” – or em—dashes… ok?",
    "email@example.com https://example.org/path?q=1&r=2#frag C:\\Windows\\System32 ~/home/$USER #hashtag @user",
    "3.14159 1,000,000 1e-9 0xDEADBEEF ½ ² ³ ₂ Ⅳ ④ ٣٤٥ १२३ ๑๒๓ 一二三 𝟏𝟐𝟑",
    "<lora:foo:0.8> {curly} [square] (round) <angle> |pipe| `tick` ^caret^ _under_ *star* =eq= +plus+ %pct% &amp;",
    "ALL CAPS PROMPT WITH NUMBERS 123 AND SYMBOLS !?#",
    "été déjà vu naïve coöperate façade Zürich Ångström øre æsir œuvre ßtraße ẞ ĳsberg Ŀ ŉ ǆ",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig",
    "Árvíztűrő tükörfúrógép",
    "İstanbul'da ılık ışık, Iğdır, iğne, İİ ıı",
    "Ο Οδυσσέας και ο Αίας ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ ΑΣ Σ ΣΑΣ. ΟΔΟΣ",
    "Съешь ещё этих мягких французских булок, да выпей чаю. Їжак, ґанок, ўсё",
    "هذا نص عربي مع تَشْكِيل وأرقام ١٢٣، وفارسی: گچپژ ی ک لا ﻻ ﷲ ﷺ",
    "שָׁלוֹם עוֹלָם, בראשית ברא אלהים",
    "नमस्ते दुनिया, क्षत्रिय ज्ञान श्री र्क क्‍ष ड़ ढ़ क़",
    "বাংলা লেখা, தமிழ் எழுத்து, తెలుగు లిపి, ಕನ್ನಡ, മലയാളം, ਗੁਰਮੁਖੀ, ગુજરાતી, ଓଡ଼ିଆ, සිංහල",
    "สวัสดีชาวโลก ภาษาไทย น้ำ เก็บ ຂໍ້ຄວາມລາວ ភាសាខ្មែរ မြန်မာစာ བོད་ཡིག",
    "日本語の文章、カタカナ、ひらがな、漢字。ﾊﾝｶｸｶﾅ ガギグ が ぱ ヴ ㍿ ㌔ ㊙ ㋿",
    "公園のベンチに座って微笑み合う男の子と女の子、その間に可愛い子犬",
    "简体中文和繁體中文，标点。《书名》「引号」 㐀 𠀀 𪚥 豈 丽",
    "한국어 문장입니다. 가각힣 ㄱㄴㄷ",
    "Tiếng Việt có nhiều dấu: ễ ộ ữ ặ ẩ",
    "ქართული ენა ᲥᲐᲠᲗᲣᲚᲘ Հայերեն լեզու և ﬓ ꮳꮃꭹ ᏣᎳᎩ ᠮᠣᠩᠭᠣᠯ አማርኛ",
    "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇯🇵🇫🇷 🇯 ❤️ ☺ ☺️ 1️⃣ 🧑🏿‍🚀 👁️‍🗨️ 🫠 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ ŀ ǈ ĳ № ™ ® © ℃ Å Ω K ﬗ",
    "ｆｕｌｌ　ｗｉｄｔｈ　ＡＢＣ　１２３　！＃％ ￥ ｡｢｣ ￦",
    "𝓗𝓮𝓵𝓵𝓸 𝔚𝔬𝔯𝔩𝔡 𝕋𝕖𝕤𝕥 ⓒⓘⓡⓒⓛⓔ 🅰🅱 ᴬᵇᶜ ₐₑ ɐqɔ",
    "a̐éö̲ Z̷̢̛a̴̡͝l̶̨̛g̵̢o̸ q̣̇ q̣̇ ṩ ṩ ṩ",
    "zero\u200bwidth\u200cjoin\u200der\ufeffbom soft\u00adhyphen word\u2060joiner \u200elrm\u200frlm \u202abidi\u202c",
    "\ufffd replacement \ufffd\ufffd end\ufffd",
    "line\r\nbreak\rcr\vvt\fff\x85nel\u2028ls\u2029ps",
    "nbsp\u00a0thin\u2009hair\u200aem\u2003ideo\u3000ogham\u1680nnbsp\u202fmmsp\u205f end",
    "! !! !!! !!!! a! !a a!b ! ! ?! !? ¡! ！",
    "................ ---------- ====== ~~~~~ ///// _____ ,,,;;;:::",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    " leading and trailing ",
    "\t\n ",
    " ",
    "!",
    "▁ ▁▁ a▁b ▁start",
    "Ġ Ċ ġ Ã© â€™ </w> a</w> b",
]

SPECIAL_TOKENS = [
    "<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "<|EndOfText|>", "</s>", "<s>", "<pad>", "<unk>", "<PAD>",
    "<extra_id_0>", "<extra_id_3>", "<extra_id_99>", "<extra_id_100>", "<extra_id_>", "!", "<|endoftext", "</S>",
]

# Ranges of assigned letters, marks and symbols, per script or block.
RANGES = {
    "latin-1": [(0xC0, 0xFF)], "latin-extended-a": [(0x100, 0x17F)], "latin-extended-b": [(0x180, 0x24F)],
    "ipa": [(0x250, 0x2AF)], "latin-additional": [(0x1E00, 0x1EFF)], "combining": [(0x61, 0x7A), (0x300, 0x36F)],
    "greek": [(0x391, 0x3A1), (0x3A3, 0x3CE)], "greek-extended": [(0x1F00, 0x1F15), (0x1F20, 0x1F45)],
    "cyrillic": [(0x400, 0x45F)], "cyrillic-supplement": [(0x460, 0x52F)], "armenian": [(0x531, 0x556), (0x561, 0x586)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5BC)], "arabic": [(0x620, 0x652)], "arabic-more": [(0x660, 0x6D3)],
    "arabic-forms": [(0xFE80, 0xFEFC)], "syriac": [(0x710, 0x74A)], "devanagari": [(0x904, 0x94D), (0x958, 0x96F)],
    "bengali": [(0x995, 0x9A8), (0x9BE, 0x9C4)], "tamil": [(0xB92, 0xB95), (0xBAE, 0xBB9), (0xBBE, 0xBC2)],
    "telugu": [(0xC12, 0xC28), (0xC3E, 0xC44)], "thai": [(0xE01, 0xE3A), (0xE40, 0xE5B)],
    "lao": [(0xE94, 0xEA3), (0xEC0, 0xEC4)], "tibetan": [(0xF40, 0xF47), (0xF71, 0xF7D)],
    "myanmar": [(0x1000, 0x103F)], "georgian": [(0x10D0, 0x10FF), (0x10A0, 0x10C5)], "ethiopic": [(0x1200, 0x1248)],
    "cherokee": [(0x13A0, 0x13F5)], "khmer": [(0x1780, 0x17B3), (0x17B6, 0x17D3)], "mongolian": [(0x1820, 0x1877)],
    "hangul-jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2)], "hangul": [(0xAC00, 0xD7A3)],
    "hangul-compatibility": [(0x3131, 0x318E)], "hiragana": [(0x3041, 0x3096)],
    "katakana": [(0x30A1, 0x30FA)], "half-width": [(0xFF66, 0xFF9D)], "full-width": [(0xFF01, 0xFF5E)],
    "cjk": [(0x4E00, 0x9FEF)], "cjk-a": [(0x3400, 0x4DB5)], "cjk-b": [(0x20000, 0x2A6D6)],
    "cjk-compatibility": [(0xF900, 0xFA6D), (0x3300, 0x33FF)], "enclosed": [(0x2460, 0x24FF), (0x3220, 0x3247)],
    "emoji": [(0x1F300, 0x1F64F), (0x1F680, 0x1F6C5)], "symbols": [(0x2190, 0x23FF), (0x2600, 0x27BF)],
    "punctuation": [(0x2010, 0x2027), (0x2030, 0x205E)], "letterlike": [(0x2100, 0x218B)],
    "super-sub": [(0x2070, 0x2071), (0x2074, 0x208E)], "math": [(0x1D400, 0x1D454), (0x1D7CE, 0x1D7FF)],
    "gothic": [(0x10330, 0x1034A)], "private": [(0xE000, 0xE020), (0xF0000, 0xF0010)], "ascii": [(0x21, 0x7E)],
}
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u2003", "\u200b", ", ", ". ", "-", "'", "! "]
EMOJI_PARTS = ["👩", "👨", "👧", "🧑", "🚀", "❤", "☺", "👍", "🇯", "🇵", "🇺", "🇸", "\u200d", "\ufe0f", "\ufe0e", "🏽", "🏿", "\u20e3", "1"]


def script_strings(rng):
    for ranges in RANGES.values():
        alphabet = [chr(c) for first, last in ranges for c in range(first, last + 1)]
        alphabet = [c for c in alphabet if unicodedata.category(c) != "Cn"]
        for _ in range(16):
            words = ["".join(rng.choices(alphabet, k=rng.randint(1, 7))) for _ in range(rng.randint(1, 3))]
            yield "".join(word + rng.choice(SPACES) for word in words[:-1]) + words[-1]


def single_code_points():
    """Controls, separators, format characters and marks, where cleaning rules differ, between letters."""
    points = [*range(0x00, 0x20), 0x22, 0x27, *range(0x7F, 0xC0), 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180E]
    points += [*range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2065), *range(0x2066, 0x2070)]
    points += [0x3000, 0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFC, 0xFFFD, 0xE0001, 0xE0041, 0x1D173]
    points += [0x130, 0x131, 0x149, 0x17F, 0x1C4, 0x1C5, 0x1E9E, 0x3A3, 0x3C2, 0x1F80, 0x2126, 0x212A, 0x212B, 0xFB13]
    for point in points:
        c = chr(point)
        yield f"a{c}b {c} {c}c{c}{c}"


def fragments():
    return [word for prompt in PROMPTS for word in prompt.split(" ") if word]


def mixed_strings(rng, count):
    words = fragments()
    for _ in range(count):
        yield "".join(rng.choice(words) + rng.choice(SPACES) for _ in range(rng.randint(1, 5)))


def variants():
    for prompt in PROMPTS:
        yield from (unicodedata.normalize(form, prompt) for form in ("NFD", "NFKC", "NFKD"))
        yield from (prompt.upper(), prompt.lower(), prompt.title())


def special_strings(rng, count):
    words = fragments()
    for token in SPECIAL_TOKENS:
        yield from (token, f"a {token} b", f"a{token}b", f"{token} x", f"x {token}", token + token, f"  {token}  ")
    for _ in range(count):
        parts = [rng.choice(SPECIAL_TOKENS) if rng.random() < 0.4 else rng.choice(words) for _ in range(5)]
        yield rng.choice(["", " "]).join(parts)


def emoji_strings(rng, count):
    for _ in range(count):
        yield "".join(rng.choices(EMOJI_PARTS, k=rng.randint(2, 7)))


def number_strings(rng, count):
    for _ in range(count):
        yield rng.choice(["{}", "{}'s", "no.{}", "{}%", "${},00", "x{}y", "-{}", "{}!"]).format(rng.randrange(10**7))


def long_strings(rng):
    words = fragments()
    yield "cat " * 74 + "dog"
    yield "cat " * 75 + "dog"
    yield "cat " * 76 + "dog"
    yield "!" * 100
    yield "hello " * 253 + "world again and again"
    yield "字" * 90
    for _ in range(3):
        yield " ".join(rng.choices(words, k=200))


def test_strings():
    rng = random.Random(2026)
    strings = itertools.chain(
        PROMPTS, variants(), special_strings(rng, 150), single_code_points(), script_strings(rng),
        mixed_strings(rng, 550), emoji_strings(rng, 80), number_strings(rng, 60), long_strings(rng),
    )
    return list(dict.fromkeys(strings))


class Tokenizers:
    """SD3.5's three, made of the vocabularies in a folder with clip/ and t5/."""

    def __init__(self, data):
        with tempfile.TemporaryDirectory() as scratch:
            make_checkpoint.Tokenizers(data).write(Path(scratch), with_t5=True)
            self.clip_l = CLIPTokenizer.from_pretrained(Path(scratch, "tokenizer"))
            self.clip_g = CLIPTokenizer.from_pretrained(Path(scratch, "tokenizer_2"))
            self.t5 = T5TokenizerFast.from_pretrained(Path(scratch, "tokenizer_3"))

    def row(self, text):
        """The ids of a text; those of CLIP-G only where they differ."""
        row = {"text": text, "clip_l": self.clip_l(text, truncation=True, max_length=77).input_ids}
        ids = self.clip_g(text, truncation=True, max_length=77).input_ids
        if ids != row["clip_l"]:
            row["clip_g"] = ids
        row["t5"] = self.t5(text, truncation=True, max_length=256).input_ids
        return row


def main():
    data = os.environ.get("FUDE_TOKENIZER_DATA", REPOSITORY.parent / "shared" / "data" / "tokenizers")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(data), help="folder with clip/ and t5/")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "tests/fixtures/tokenizers/conformance.jsonl")
    options = parser.parse_args()
    tokenizers = Tokenizers(options.data)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    strings = test_strings()
    with open(options.out, "w") as out:
        for text in strings:
            out.write(json.dumps(tokenizers.row(text), ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(strings)} strings, {options.out.stat().st_size / 2**10:.0f} KiB")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares what the installed packages do with what fude was made equal to, and prints what moved: token ids, noise, pipelines.

    python3 -m venv newest && newest/bin/pip install -U torch diffusers transformers sentencepiece protobuf accelerate
    newest/bin/python tools/check_newest.py

Exit code 1 where something moved. Then the exporters beside this script renew the fixtures, tests say what fude has to learn, and
`kRules` in src/engine/metadata.h counts on.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file

import export_demo_reference
import export_goldens
import export_tokenizer_goldens

FIXTURES = export_goldens.FIXTURES
SAME = 1e-9  # normalised mean squared error, as tests/model/stages_test.cpp has it


def moved_tokens(data):
    rows = [json.loads(line) for line in open(FIXTURES / "tokenizers" / "conformance.jsonl")]
    tokenizers = export_tokenizer_goldens.Tokenizers(data)
    moved = False
    for name in ("clip_l", "clip_g", "t5"):
        texts = [row["text"] for row in rows if tokenizers.row(row["text"]).get(name) != row.get(name)]
        print(f"tokens  {name:7} {len(rows) - len(texts)} of {len(rows)} equal", *(f"\n    {text!r}" for text in texts[:5]))
        moved |= bool(texts)
    return moved


def moved_noise():
    rows = [row for row in json.loads((FIXTURES / "noise.json").read_text()) if row["noise"] in export_goldens.NOISE]
    moved = False
    for kind in export_goldens.NOISE:
        equal = [export_goldens.noise_fingerprint(kind, row["seed"], row["n"]) == row["sha256"] for row in rows if row["noise"] == kind]
        print(f"noise   {kind:14} {sum(equal)} of {len(equal)} equal")
        moved |= not all(equal)
    return moved


def nmse(actual, expected):
    if actual.shape != expected.shape:
        return float("inf")
    difference = actual.double() - expected.double()
    return float(difference.square().sum() / expected.double().square().sum().clamp(min=1e-30))


def moved_pipelines():
    moved = False
    export_goldens.use_one_thread()
    for name, fixture in export_goldens.FIXTURE_TABLE.items():
        expected = load_file(FIXTURES / name / "goldens.safetensors")
        actual = export_goldens.draw_goldens(FIXTURES / name, fixture)
        errors = {stage: nmse(actual[stage], tensor) if stage in actual else float("inf") for stage, tensor in expected.items()}
        stages = [stage for stage, error in errors.items() if error > SAME]
        worst = max(errors, key=errors.get)
        print(f"stages  {name:7} {len(errors) - len(stages)} of {len(errors)} equal, most in {worst}: NMSE {errors[worst]:.1e}",
              *(f"\n    {stage}: {errors[stage]:.1e}" for stage in stages[:5]))
        moved |= bool(stages)
    return moved


def moved_demo():
    drawn = export_demo_reference.draw().astype(int)
    difference = abs(drawn - numpy.asarray(Image.open(export_demo_reference.PICTURE)).astype(int))
    print(f"demo    at most {difference.max()} levels, {(difference == 0).mean():.2%} of the values equal")
    return difference.max() > 1


def main():
    data = os.environ.get("FUDE_TOKENIZER_DATA", export_tokenizer_goldens.REPOSITORY.parent / "shared" / "data" / "tokenizers")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(data), help="folder with clip/ and t5/; without it token ids are left out")
    options = parser.parse_args()
    print(", ".join(f"{name} {version}" for name, version in export_goldens.versions().items()))
    moved = [moved_tokens(options.data)] if (options.data / "clip").is_dir() else []
    moved += [moved_noise(), moved_pipelines(), moved_demo()]
    print("something moved" if any(moved) else "nothing moved")
    sys.exit(any(moved))


if __name__ == "__main__":
    main()

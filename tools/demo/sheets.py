"""Draws contact sheets for people: numbered rows without the prompts, which go into a file of their own, so that somebody who has
not seen them can say what is shown. 60 prompts name the classes in turn, eight put things where training rarely does."""

import argparse
import json
import random
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

import weights
from networks import Painter, Vae
from objects import CLASSES
from pictures import draw
from scenes import FREE, PICTURE, Scene, choose_place, pair, single, triple
from text import Text

BENCH = ("cat", "red bicycle", "rocket", "pizza", "penguin", "guitar", "castle", "birthday cake")
ROWS, COLUMNS = 6, 4
SHOWCASE = (
    "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy",
    "a girl standing in front of a large aquarium with many colorful tropical fish",
    "a castle in the snow", "a sailboat on a beach at sunset", "a red car and a yellow bus on a street", "an owl at night",
    "a unicorn under a rainbow in a meadow", "a birthday cake between a boy and a girl", "a lion and a giraffe in the desert",
    "a cup of coffee and a donut on a table in a room", "a snowman and a christmas tree in the snow", "a rocket and a planet in space", "three balloons on a light blue background")
SIZES = ((192, 192), (320, 192), (192, 320), (384, 256), (256, 384), (384, 384), (512, 288), (288, 512), (512, 512))


def prompts() -> list[dict]:
    """Always the same: prompt and the names that a viewer should find."""
    rng = random.Random(20261128)
    order, rows = [], []
    for number in range(60):
        count = number % 3 + 1
        if len(order) < count:
            order += rng.sample(FREE, len(FREE))
        things, order = order[:count], order[count:]
        background, look, place = choose_place(rng)
        scene = Scene(*PICTURE, background, look)
        (single, pair, triple)[count - 1](rng, scene, things, place)
        rows.append({"prompt": scene.captions[0], "things": [t.name for t in things]})
    named = {"red bicycle": "bicycle", "pizza": "slice of pizza"}
    return rows + [{"prompt": f"a {thing} on a bench in the snow", "things": [named.get(thing, thing), "bench"]} for thing in BENCH]


def pictures_of(pixels):
    return [Image.fromarray(p) for p in ((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="../../models/demo")
    parser.add_argument("--resume", help="folder with parts, drawn with instead of the model folder's weights")
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=1000, help="draw only so many of the numbered rows")
    parser.add_argument("--batch", type=int, default=136)
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = Text(args.model)
    tensors, stats = weights.load(args.resume or args.model)
    vae = Vae().to(device).eval()
    vae.load_state_dict(weights.component(tensors, "vae"))
    painter = Painter(text.clip_vocabulary, text.t5_vocabulary).to(device).eval()
    painter.load_state_dict({name: tensor.float() for name, tensor in tensors.items() if not name.startswith("vae.")})
    tokens = lambda captions: [torch.from_numpy(ids).long().to(device) for ids in text(captions)]
    empty = tokens([""])

    def drawn(captions, seeds, size=PICTURE):
        ids, result = tokens(captions), []
        for start in range(0, len(captions), args.batch):
            part = slice(start, start + args.batch)
            result += pictures_of(draw(painter, vae, stats, [i[part] for i in ids], empty, seeds[part], args.steps, args.guidance, size))
        return result

    rows = prompts()[:args.rows]
    (out / "classes.txt").write_text("\n".join(sorted(CLASSES)) + "\n")
    (out / "answers.json").write_text(json.dumps({number + 1: row for number, row in enumerate(rows)}, indent=1))
    pictures = drawn([row["prompt"] for row in rows for _ in range(COLUMNS)], [seed + 1 for _ in rows for seed in range(COLUMNS)])
    width, height, margin = *PICTURE, 40
    for first in range(0, len(rows), ROWS):
        count = min(ROWS, len(rows) - first)
        sheet = Image.new("RGB", (margin + COLUMNS * (width + 8), count * (height + 8)), "white")
        for k in range(count):
            ImageDraw.Draw(sheet).text((6, k * (height + 8) + height // 2), str(first + k + 1), fill="black", font=ImageFont.load_default(20))
            for column in range(COLUMNS):
                sheet.paste(pictures[(first + k) * COLUMNS + column], (margin + column * (width + 8), k * (height + 8)))
        sheet.save(out / f"sheet-{first // ROWS + 1:02}.jpg", quality=92)

    shown = SHOWCASE[:args.rows]
    pictures = drawn([prompt for prompt in shown for _ in range(COLUMNS)], [seed + 1 for _ in shown for seed in range(COLUMNS)])
    sheet = Image.new("RGB", (2 * COLUMNS * width, -(-len(shown) // 2) * height))
    for k, picture in enumerate(pictures):
        sheet.paste(picture, ((k // COLUMNS % 2 * COLUMNS + k % COLUMNS) * width, k // COLUMNS // 2 * height))
    sheet.save(out / "showcase.jpg", quality=92)
    for k, size in enumerate(SIZES[:args.rows]):
        chosen = [SHOWCASE[(k + j) % 5] for j in range(4)]
        for j, picture in enumerate(drawn(chosen, [1, 2, 3, 4], size)):
            if j == 0:
                sheet = Image.new("RGB", (4 * size[0], size[1]))
            sheet.paste(picture, (j * size[0], 0))
        sheet.save(out / f"size-{size[0]}x{size[1]}.jpg", quality=92)


if __name__ == "__main__":
    main()

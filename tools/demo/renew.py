"""After an export: draws again everything in the repository that the demo model drew. The picture that tests compare with comes from
diffusers, those of the documents from fude."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent.parent
PARK = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy"
AQUARIUM = "a girl standing in front of a large aquarium with many colorful tropical fish"
GACHA = "a bright park scene with a boy and a {puppy|cat} on a bench"
SHOWCASE = (  # of each, four seeds of four are good
    "a cat on a bench in the snow",
    "a red bicycle on a beach",
    "a rocket in space",
    "a penguin in the snow with a red balloon above it",
    "a castle at night",
    "a birthday cake on a table",
    "a dog to the left of a blue car on a beach",
    "a fox in a forest",
    "a green dinosaur in the desert",
    "a parrot above a sunflower",
    "an owl in a forest at night",
    "a teddy bear to the right of a gift in a park",
)
SIZE = ("-W", "256", "-H", "256")
SHEETS = {  # the documents' pictures: width in pixels, and the command that draws them
    "gacha.jpg": (720, ("gacha", GACHA, "--count", "6", "--steps", "12", "--guidance", "5", "--seed", "40")),
    "sweep-steps.jpg": (1280, ("sweep", PARK, "--seed", "2", *SIZE, "--guidance", "5", "--steps", "5,10,20,30,40,50,60,70")),
    "sweep-guidance.jpg": (1280, ("sweep", PARK, "--seed", "2", *SIZE, "--steps", "30", "--guidance", "0.5,1,2,3,5,7,10")),
}


def showcase(draw):
    """Two prompts beside each other, over four pictures each. `draw(prompt)` gives their paths."""
    side, gap, caption, margin = 112, 4, 24, 16
    column, row = 4 * (side + gap) + margin, side + caption + margin
    sheet = Image.new("RGB", (2 * column + margin, (len(SHOWCASE) + 1) // 2 * row + margin), "#f8f8f5")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for i, prompt in enumerate(SHOWCASE):
        left, top = margin + i % 2 * column, margin + i // 2 * row
        pen.text((left, top), prompt, fill="#1c1b19", font=font)
        for k, path in enumerate(draw(prompt)):
            sheet.paste(Image.open(path).convert("RGB").resize((side, side), Image.LANCZOS), (left + k * (side + gap), top + caption))
    return sheet


def previews(library):
    """After some steps of ten, as the library shows them, and the picture."""
    os.environ["FUDE_LIBRARY"] = str(library)
    sys.path.insert(0, str(ROOT / "python"))
    import fude

    side, gap, shown = 192, 8, []
    result = fude.Engine(ROOT / "models/demo").generate("a red car on a beach", seed=4, steps=10, width=256, height=256,
                                                        preview=lambda each: shown.append(Image.fromarray(each.rgb.copy())))
    row = [shown[step - 1].resize((side, side), Image.NEAREST) for step in (1, 3, 5, 10)]
    row.append(result.images[0].pil().resize((side, side), Image.LANCZOS))
    sheet = Image.new("RGB", (len(row) * (side + gap) - gap, side), "white")
    for i, each in enumerate(row):
        sheet.paste(each, (i * (side + gap), 0))
    return sheet


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fude", default=str(ROOT / "build/release/fude"))
    parser.add_argument("--library", help="libfude.so.0; default: that of the same build")
    parser.add_argument("--only", nargs="*", help="names of files, to draw no others")
    args = parser.parse_args()
    wanted = lambda name: not args.only or name in args.only
    docs = ROOT / "docs"
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *words: subprocess.run([args.fude, *words, "--model", str(ROOT / "models/demo"), "--out", folder], check=True, stdout=subprocess.PIPE).stdout
        for name, prompt in (("demo-park.png", PARK), ("demo-aquarium.png", AQUARIUM)):
            if wanted(name):
                told = json.loads(run("generate", "--steps", "30", "--guidance", "5", "--seed", "2", "--json", prompt))
                shutil.copy(told["images"][0]["path"], docs / name)
        if wanted("demo-showcase.jpg"):
            four = lambda prompt: [each["path"] for each in json.loads(run("generate", "--seed", "1", "--count", "4", "--json", prompt))["images"]]
            showcase(four).save(docs / "demo-showcase.jpg", quality=88, optimize=True)
        for name, (width, words) in SHEETS.items():
            if wanted(name):
                before = set(Path(folder).rglob("sheet.png"))
                run(*words)
                (path,) = set(Path(folder).rglob("sheet.png")) - before
                sheet = Image.open(path)
                sheet.resize((width, round(sheet.height * width / sheet.width)), Image.LANCZOS).save(docs / name, quality=88, optimize=True)
    if wanted("previews.png"):
        previews(args.library or Path(args.fude).parent / "src/libfude.so.0").save(docs / "previews.png", optimize=True)
    if wanted("park.png"):
        subprocess.run([sys.executable, str(ROOT / "tools/export_demo_reference.py")], check=True)


if __name__ == "__main__":
    main()

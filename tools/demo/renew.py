"""After an export: draws again everything in the repository that the demo model drew. The picture that tests compare with comes from
diffusers, those of the documents from fude."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
PARK = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy"
AQUARIUM = "a girl standing in front of a large aquarium with many colorful tropical fish"
GACHA = "a bright park scene with a boy and a {puppy|cat} on a bench"
SIZE = ("-W", "256", "-H", "256")
SHEETS = {  # the documents' pictures: width in pixels, and the command that draws them
    "gacha.jpg": (720, ("gacha", GACHA, "--count", "6", "--steps", "12", "--guidance", "5", "--seed", "40")),
    "sweep-steps.jpg": (1280, ("sweep", PARK, "--seed", "2", *SIZE, "--guidance", "5", "--steps", "5,10,20,30,40,50,60,70")),
    "sweep-guidance.jpg": (1280, ("sweep", PARK, "--seed", "2", *SIZE, "--steps", "30", "--guidance", "0.5,1,2,3,5,7,10")),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fude", default=str(ROOT / "build/release/fude"))
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
        for name, (width, words) in SHEETS.items():
            if wanted(name):
                before = set(Path(folder).rglob("sheet.png"))
                run(*words)
                (path,) = set(Path(folder).rglob("sheet.png")) - before
                sheet = Image.open(path)
                sheet.resize((width, round(sheet.height * width / sheet.width)), Image.LANCZOS).save(docs / name, quality=88, optimize=True)
    if wanted("park.png"):
        subprocess.run([sys.executable, str(ROOT / "tools/export_demo_reference.py")], check=True)


if __name__ == "__main__":
    main()

"""Renders every sprite from the emoji font into one .npz (RGBA, 128x128). Run on a machine with fonts-noto-color-emoji."""

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from draw_props import PROP_PICTURES, SIZE, person
from objects import PEOPLE, SPRITES, THINGS

STRIKE = 109  # the only size at which the font holds bitmaps, 136x128 each


def emoji_picture(font, character: str) -> Image.Image:
    image = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((10, 10), character, font=font, embedded_color=True)
    box = image.getchannel("A").getbbox()
    assert box, f"the font has no picture for {character}"
    picture = image.crop(box)
    side = max(picture.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    # Everything stands on the lower edge, so that an object's foot is the sprite's foot.
    square.paste(picture, ((side - picture.width) // 2, side - picture.height))
    return square.resize((SIZE, SIZE), Image.LANCZOS)


def turn_hue(picture: Image.Image, degrees: int) -> Image.Image:
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    hue = hue.point(lambda h: (h + degrees * 255 // 360) % 256)
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB").convert("RGBA")
    turned.putalpha(picture.getchannel("A"))
    return turned


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    parser.add_argument("--out", default="sprites.npz")
    args = parser.parse_args()
    font = ImageFont.truetype(args.font, STRIKE)

    pictures = {}
    people = {name: rest for name, _, *rest in PEOPLE}
    for thing in THINGS:
        if thing.name in people:
            emoji, _, shirt, lower, skirt = people[thing.name]
            head = emoji_picture(font, emoji)
            pictures[thing.name] = person(head, shirt, lower, skirt, sitting=False)
            pictures[f"{thing.name} sitting"] = person(head, shirt, lower, skirt, sitting=True)
        elif thing.emoji:
            pictures[thing.name] = emoji_picture(font, thing.emoji)
        else:
            pictures[thing.name] = PROP_PICTURES[thing.name]()
    for colour, degrees in (("blue", 180), ("red", -40), ("violet", 240)):
        pictures[f"tropical fish {colour}"] = turn_hue(pictures["tropical fish"], degrees)

    sprites = np.stack([np.asarray(pictures[name]) for name in SPRITES])
    np.savez_compressed(args.out, sprites=sprites)
    print(f"{len(SPRITES)} sprites of {len(THINGS)} things -> {args.out}")


if __name__ == "__main__":
    main()

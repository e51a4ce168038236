"""Renders every sprite from the emoji font into one .npz (RGBA, 256x256). Run on a machine with fonts-noto-color-emoji."""

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

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
    return enlarge(square)


def enlarge(picture: Image.Image) -> Image.Image:
    """To sprite size, with outlines as crisp as the small bitmap allows."""
    pixels = np.asarray(picture, np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]  # premultiplied: what lies under transparent pixels must not bleed in
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., k])).resize((SIZE, SIZE), Image.LANCZOS) for k in range(4)]
    rgba = np.stack([np.asarray(plane) for plane in planes], -1).clip(0, 1)
    blurred = np.stack([np.asarray(Image.fromarray((rgba[..., k] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2.5)), np.float32) / 255
                        for k in range(4)], -1)
    sharp = (rgba + 0.8 * (rgba - blurred)).clip(0, 1)
    alpha = ((sharp[..., 3:] - 0.5) * 1.5 + 0.5).clip(0, 1)
    colour = (sharp[..., :3] / np.maximum(sharp[..., 3:], 1e-3)).clip(0, 1)
    return Image.fromarray(np.rint(np.concatenate([colour, alpha], -1) * 255).astype(np.uint8))


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

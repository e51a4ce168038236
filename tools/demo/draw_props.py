"""Pictures that no emoji has: bodies below heads, a bench, a table, an aquarium. Drawn at four times their size, then reduced."""

from PIL import Image, ImageDraw

SIZE = 256
UNITS = 128       # the drawings below are laid out in a square of so many
OVERSAMPLE = 2
SCALE = SIZE // UNITS * OVERSAMPLE


class Canvas:
    def __init__(self):
        self.image = Image.new("RGBA", (UNITS * SCALE, UNITS * SCALE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def box(self, x0, y0, x1, y1, colour, radius=0):
        self.draw.rounded_rectangle([v * SCALE for v in (x0, y0, x1, y1)], radius * SCALE, fill=colour)

    def polygon(self, points, colour):
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=colour)

    def ellipse(self, x0, y0, x1, y1, colour):
        self.draw.ellipse([v * SCALE for v in (x0, y0, x1, y1)], fill=colour)

    def finish(self) -> Image.Image:
        return self.image.resize((SIZE, SIZE), Image.LANCZOS)


def person(head: Image.Image, shirt, lower, skirt: bool, sitting: bool) -> Image.Image:
    """A body of full sprite height whose head, an emoji, takes the upper half."""
    c = Canvas()
    skin, shoe = (250, 200, 140, 255), (50, 45, 50, 255)
    shirt, lower = (*shirt, 255), (*lower, 255)
    legs = skin if skirt else lower
    c.box(38, 60, 48, 92, shirt, 5)      # arms
    c.box(80, 60, 90, 92, shirt, 5)
    c.ellipse(37, 87, 49, 97, skin)
    c.ellipse(79, 87, 91, 97, skin)
    if sitting:
        c.box(46, 94, 60, 122, legs, 4)
        c.box(68, 94, 82, 122, legs, 4)
    else:
        c.box(50, 90, 61, 122, legs, 3)
        c.box(67, 90, 78, 122, legs, 3)
        if skirt:
            c.polygon([(47, 86), (81, 86), (92, 108), (36, 108)], lower)
    c.box(43, 118, 61, 127, shoe, 4)
    c.box(67, 118, 85, 127, shoe, 4)
    c.box(45, 56, 83, 93, shirt, 8)      # torso
    if sitting:
        c.box(40, 84, 88, 104, lower, 8)  # lap
    image = c.finish()
    scale = SIZE // UNITS
    image.alpha_composite(head.resize((68 * scale, 68 * scale), Image.LANCZOS), (30 * scale, 0))
    return image


def bench() -> Image.Image:
    c = Canvas()
    wood, dark, iron = (176, 112, 56, 255), (140, 84, 40, 255), (64, 64, 70, 255)
    for x in (12, 108):
        c.box(x, 10, x + 7, 127, iron, 2)
    for y in (12, 30, 48):
        c.box(3, y, 125, y + 13, wood, 3)
        c.box(3, y + 10, 125, y + 13, dark, 2)
    c.box(0, 70, 128, 84, wood, 3)
    c.box(0, 82, 128, 89, dark, 2)
    return c.finish()


def table() -> Image.Image:
    c = Canvas()
    wood, dark = (196, 136, 76, 255), (150, 98, 50, 255)
    for x in (12, 104):
        c.box(x, 28, x + 12, 127, dark, 2)
    c.box(8, 24, 120, 42, dark, 2)
    c.box(0, 6, 128, 28, wood, 4)
    return c.finish()


def aquarium() -> Image.Image:
    c = Canvas()
    frame, water, sand, weed = (54, 60, 72, 255), (64, 164, 224, 255), (236, 206, 140, 255), (40, 150, 90, 255)
    c.box(0, 0, 128, 128, frame, 4)
    for y in range(7, 121):
        shade = (y - 7) / 114
        c.box(4, y, 124, y + 1, tuple(int(v * (1.12 - 0.4 * shade)) if v * 1.12 < 255 else 255 for v in water[:3]) + (255,))
    c.box(4, 108, 124, 121, sand)
    for x, height in ((14, 34), (22, 22), (104, 40), (112, 26)):
        c.polygon([(x, 110), (x + 3, 110 - height), (x + 6, 110)], weed)
    c.box(4, 7, 124, 11, (170, 220, 250, 255))
    return c.finish()


PROP_PICTURES = {"bench": bench, "table": table, "aquarium": aquarium}

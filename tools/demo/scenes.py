"""Invents scenes: what stands where on which background, and sentences that say so. Pictures are render.py's business."""

import json
import random
import zlib
from dataclasses import dataclass, field

from objects import CLASS_OF, COLOURABLE, PEOPLE, SPRITE_OF, THINGS, TINT_OF

PICTURE = (256, 256)  # width and height that most pictures have; positions and sizes are in pixels
MAX_SLOTS = 9
TINTED_SHARE = 0.4  # of the things that may have another colour than their own
CAPTIONS = 3    # wordings per scene

COLOURS = {
    "red": (214, 60, 56), "orange": (240, 150, 60), "yellow": (246, 220, 90), "green": (110, 180, 96), "blue": (86, 140, 220),
    "purple": (150, 110, 200), "pink": (246, 180, 204), "white": (246, 246, 244), "gray": (160, 162, 166), "black": (34, 34, 38),
    "brown": (150, 110, 80), "light blue": (176, 216, 244), "turquoise": (90, 200, 196), "beige": (234, 220, 190),
}
# The background's name, its phrases after "in/on/at", whether a sky makes it bright or dim.
PLACES = {
    "park": (("in a park", "in the park"), "park", True),
    "beach": (("on a beach", "at the beach", "on the sandy beach"), "beach", True),
    "night": (("at night", "under a night sky", "under the stars"), "night", False),
    "room": (("in a room", "in a cozy room", "indoors", "in the living room"), "room", False),
    "underwater": (("underwater", "under the sea", "in the ocean"), "underwater", False),
    "snow": (("in the snow", "on a snowy field", "in winter"), "snowy", True),
    "desert": (("in a desert", "in the desert"), "desert", True),
    "forest": (("in a forest", "in the woods"), "forest", True),
    "street": (("on a street", "in a city", "in the street"), "city street", True),
    "sunset": (("at sunset", "in front of a sunset"), "sunset", False),
    "mountains": (("in the mountains", "in front of mountains"), "mountain", True),
    "meadow": (("in a meadow", "in a field of flowers"), "meadow", True),
    "space": (("in space", "in outer space"), "space", False),
}
OUTDOORS = [name for name in PLACES if name not in ("room", "underwater", "space")]
BACKGROUNDS = ["plain", *PLACES]
BACKGROUND_OF = {name: index for index, name in enumerate(BACKGROUNDS)}

ADJECTIVES = {
    "animal": ("cute", "adorable", "happy", "little", "lovely", "friendly"),
    "human": ("smiling", "happy", "cheerful", "young", "friendly"),
    "person": ("funny", "friendly", "happy", "strange"),
    "food": ("tasty", "delicious", "fresh", "sweet"),
    "vehicle": ("shiny", "new", "fast", "old"),
    "plant": ("beautiful", "pretty", "lovely"),
    "sky": ("bright", "beautiful", "shining"),
    "thing": ("nice", "new", "beautiful", "old", "shiny"),
    "prop": ("beautiful", "nice", "new"),
}
SIZE_WORDS = {"small": ("small", "tiny", "little"), "large": ("big", "large", "huge"), "": ("",)}
HEADS = ("", "", "", "", "a picture of ", "an illustration of ", "a drawing of ", "a photo of ", "a scene with ", "a cartoon of ")

GROUND = [t for t in THINGS if t.place == "ground"]
AIR = [t for t in THINGS if t.place == "air"]
WATER = [t for t in THINGS if t.place == "water"]
FREE = GROUND + AIR + WATER
BY_NAME = {t.name: t for t in THINGS}
HUMANS = [BY_NAME[person[0]] for person in PEOPLE]
TANK_FISH = ("tropical fish", "tropical fish", "fish", "pufferfish")
COLOUR_FISH = ("tropical fish", "tropical fish blue", "tropical fish red", "tropical fish violet")
SEATABLE = [t for t in GROUND if t.family in ("animal", "person") or t.name in ("teddy bear", "backpack", "gift", "book", "umbrella")]
TABLETOP = [t for t in GROUND if t.family == "food" or t.name in (
    "book", "alarm clock", "phone", "laptop", "television", "camera", "light bulb", "gift", "teddy bear", "trophy", "crown", "top hat",
    "pair of glasses", "bouquet of flowers", "cat", "kitten", "hamster", "frog", "rose", "tulip", "cactus", "bell", "key")]


@dataclass
class Scene:
    width: int
    height: int
    background: int
    look: list[float]                                    # random numbers that render.py turns into colours and shapes
    slots: list[tuple] = field(default_factory=list)     # (sprite, centre x, centre y, width, height, tint), in this order
    objects: list[tuple] = field(default_factory=list)   # (class, centre x, centre y), each named in the captions
    relations: list[tuple] = field(default_factory=list) # ("left"|"between"|…, indices into objects)
    captions: list[str] = field(default_factory=list)
    colours: dict[str, str] = field(default_factory=dict)  # of things that have another colour than their own

    @property
    def unit(self) -> float:
        """The side of a square of the picture's area: what sizes are measured in."""
        return (self.width * self.height) ** 0.5

    def fit(self, share, columns=1, rows=1) -> float:
        """A thing's width: this share of the unit, unless so many would not stand side by side or above each other."""
        return min(share * self.unit, self.width / columns, 0.84 * self.height / rows)

    def put(self, thing, x, y, width, height=None, sprite=None, named=True) -> int:
        x = min(max(x, 0.48 * width), self.width - 0.48 * width)
        y = max(y, 0.48 * (height or width))
        tint = TINT_OF.get(self.colours.get(thing.name), 0)
        self.slots.append((SPRITE_OF[sprite or thing.name], x, y, width, height or width, tint))
        if named:
            self.objects.append((CLASS_OF[thing.name], x, y))
        return len(self.objects) - 1


def is_held_out(names) -> bool:
    """One pair in fifteen is never trained on, in no scene, however it is arranged."""
    names = sorted(set(names))
    return any(zlib.crc32(f"{a}|{b}".encode()) % 15 == 0 for i, a in enumerate(names) for b in names[i + 1:])


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" and not words.startswith(("ufo", "unicorn")) else "a ") + words


class Writer:
    """Chooses words. One instance per caption, so that each caption words the same scene anew."""

    def __init__(self, rng: random.Random, scene: "Scene"):
        self.rng, self.scene = rng, scene

    def noun(self, thing, size="") -> str:
        rng, colour = self.rng, self.scene.colours.get(thing.name)
        names = [name for name in thing.names if not colour or name.split()[0] not in COLOURS]  # no "blue red car"
        name = thing.name if len(names) == 1 or rng.random() < 0.6 else rng.choice(names[1:])
        words = [rng.choice(SIZE_WORDS[size])] if size else []
        if rng.random() < 0.25:
            words.append(rng.choice(ADJECTIVES[thing.family]))
        if colour:
            words.append(colour)
        return " ".join([*words, name])

    def a(self, thing, size="") -> str:
        noun = self.noun(thing, size)
        definite = thing.name in ("sun", "crescent moon", "full moon") or self.rng.random() < 0.06
        return f"the {noun}" if definite else with_article(noun)

    def sentence(self, body: str, place) -> str:
        """Joins what is shown with where it is, then varies capitals and the full stop."""
        rng = self.rng
        phrases, label, mood = place
        form = rng.random()
        scene = f"{mood} {label}".strip()
        if not phrases or form < 0.02:
            text = rng.choice(HEADS) + body
        elif label.endswith("background"):
            text = rng.choice((f"{body} on {with_article(label)}", f"{body}, {label}", f"{rng.choice(HEADS)}{body}, {label}",
                               f"{with_article(label)} with {body}", f"{body} in front of {with_article(label)}"))
        elif form < 0.35 or mood and form < 0.6:
            text = rng.choice((f"{with_article(scene)} scene with {body}", f"{scene} scene, {body}", f"{with_article(scene)} scene: {body}"))
        elif form < 0.8:
            text = f"{rng.choice(HEADS)}{body} {rng.choice(phrases)}"
        elif form < 0.9:
            text = f"{rng.choice(phrases)}, {body}"
        else:
            text = f"{rng.choice(HEADS)}{body}, {label} background"
        if rng.random() < 0.35:
            text = text[0].upper() + text[1:]
        if rng.random() < 0.3:
            text += "."
        return text


def choose_place(rng, scene_rng_choice=None):
    """Returns (background index, look, (phrases, label, mood))."""
    look = [rng.random() for _ in range(8)]
    if scene_rng_choice is None and rng.random() < 0.4:
        colour = rng.choice(list(COLOURS))
        jitter = [max(0.0, min(1.0, channel / 255 + rng.uniform(-0.04, 0.04))) for channel in COLOURS[colour]]
        label = f"{colour} background" if rng.random() < 0.7 else f"plain {colour} background"
        return BACKGROUND_OF["plain"], jitter + look[3:], (("",), label, "")
    name = scene_rng_choice or rng.choice(list(PLACES))
    phrases, label, has_sky = PLACES[name]
    mood = ""
    look[0] = 0.5  # the light: 0 dim, 0.5 ordinary, 1 bright
    if has_sky and rng.random() < 0.5:
        mood, look[0] = rng.choice((("bright", 1.0), ("sunny", 1.0), ("dark", 0.0), ("evening", 0.0)))
    return BACKGROUND_OF[name], look, (phrases, label, mood)


def pick(rng, pool, count):
    while True:
        things = rng.sample(pool, count)
        if len({t.name for t in things}) == count:
            return things


def size_of(rng, base, spread=0.1):
    """A size word (mostly none) and the width in pixels that goes with it."""
    word = rng.choice(("", "", "", "", "small", "large"))
    factor = {"": 1.0, "small": 0.66, "large": 1.2}[word]
    return word, base * factor * rng.uniform(1 - spread, 1 + spread)


def height_for(rng, thing, size, scene):
    """Centre y: ground things stand on the floor of a place, flying things are above it, in a plain picture all are in the middle."""
    if scene.background == BACKGROUND_OF["plain"]:
        return rng.uniform(0.46, 0.54) * scene.height
    if thing.place == "air" or scene.background in (BACKGROUND_OF["space"], BACKGROUND_OF["underwater"]):
        return max(rng.uniform(0.3, 0.5) * scene.height, size / 2 + 0.02 * scene.height)
    return rng.uniform(0.88, 0.95) * scene.height - size / 2


def single(rng, scene, things, place):
    (thing,) = things
    size, width = size_of(rng, scene.fit(0.6))
    side = rng.choice(("", "", "", "left", "right", "center"))
    x = {"": rng.uniform(0.42, 0.58), "left": rng.uniform(0.28, 0.32), "right": rng.uniform(0.68, 0.72), "center": rng.uniform(0.48, 0.52)}[side]
    scene.put(thing, x * scene.width, height_for(rng, thing, width, scene), width)
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        where = {"": "", "center": rng.choice((" in the center", " in the middle"))}.get(side) if side in ("", "center") else rng.choice((f" on the {side}", f" on the {side} side"))
        scene.captions.append(w.sentence(w.a(thing, size) + where, place))


def pair(rng, scene, things, place):
    a, b = things
    size_a, width_a = size_of(rng, scene.fit(0.46, columns=2))
    size_b, width_b = size_of(rng, scene.fit(0.46, columns=2))
    xa, xb = rng.uniform(0.24, 0.28) * scene.width, rng.uniform(0.72, 0.76) * scene.width
    swapped = rng.random() < 0.5
    if swapped:
        xa, xb = xb, xa
    i = scene.put(a, xa, height_for(rng, a, width_a, scene), width_a)
    j = scene.put(b, xb, height_for(rng, b, width_b, scene), width_b)
    ordered = rng.random() < 0.75
    if ordered:
        scene.relations.append(("left", j, i) if swapped else ("left", i, j))
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        A, B = w.a(a, size_a), w.a(b, size_b)
        side, other = ("right", "left") if swapped else ("left", "right")
        if ordered:
            body = rng.choice((f"{A} to the {side} of {B}", f"{A} {side} of {B}", f"{A} on the {side} and {B} on the {other}", f"{A} on the {side} of {B}",
                               f"{B} to the {other} of {A}", f"{B} with {A} on its {side}", f"on the {side} {A}, on the {other} {B}"))
        else:
            body = rng.choice((f"{A} and {B}", f"{B} and {A}", f"{A} next to {B}", f"{B} beside {A}", f"{A} with {B}", f"{A} standing next to {B}"))
        scene.captions.append(w.sentence(body, place))


def stacked(rng, scene, things, place):
    a, b = things
    size_a, width_a = size_of(rng, scene.fit(0.44, rows=2))
    size_b, width_b = size_of(rng, scene.fit(0.44, rows=2))
    x, sway = rng.uniform(0.36, 0.64) * scene.width, 0.03 * scene.unit
    i = scene.put(a, x + rng.uniform(-sway, sway), rng.uniform(0.24, 0.28) * scene.height, width_a)
    j = scene.put(b, x + rng.uniform(-sway, sway), rng.uniform(0.72, 0.76) * scene.height, width_b)
    scene.relations.append(("above", i, j))
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        A, B = w.a(a, size_a), w.a(b, size_b)
        scene.captions.append(w.sentence(rng.choice((f"{A} above {B}", f"{A} over {B}", f"{B} below {A}", f"{B} under {A}", f"{B} with {A} above it")), place))


def triple(rng, scene, things, place):
    between = rng.random() < 0.6
    columns = [rng.uniform(0.165, 0.18), rng.uniform(0.48, 0.52), rng.uniform(0.82, 0.835)]
    sizes, slots = [], []
    for thing, x in zip(things, columns):
        size, width = size_of(rng, scene.fit(0.35, columns=3))
        sizes.append(size)
        slots.append(scene.put(thing, x * scene.width, height_for(rng, thing, width, scene), width))
    ordered = rng.random() < 0.5
    if between:
        scene.relations.append(("between", slots[1], slots[0], slots[2]))
    if ordered:
        scene.relations += [("left", slots[0], slots[1]), ("left", slots[1], slots[2])]
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        L, M, R = (w.a(t, s) for t, s in zip(things, sizes))
        if between and ordered:
            body = rng.choice((f"{L} on the left, {R} on the right, between them {M}", f"{L} on the left and {R} on the right with {M} between them",
                               f"{M} between {L} on the left and {R} on the right"))
        elif between:
            if rng.random() < 0.5:
                L, R = R, L
            body = rng.choice((f"{M} between {L} and {R}", f"{L} and {R}, between them {M}", f"{L} and {R} with {M} between them",
                               f"between {L} and {R}, {M}", f"{L} and {R}. Between them, {M}", f"{L} and {R}, {M} sitting between them"))
        elif ordered:
            body = rng.choice((f"from left to right {L}, {M} and {R}", f"{L} left of {M}, and {R} on the right", f"{L} on the left, {M} in the middle, {R} on the right"))
        else:
            parts = [L, M, R]
            rng.shuffle(parts)
            body = f"{parts[0]}, {parts[1]} and {parts[2]}"
        scene.captions.append(w.sentence(body, place))


def many(rng, scene, things, place):
    (thing,) = things
    count = rng.choice((2, 3, 5, 6))
    if count < 4:
        width = scene.fit(0.46 if count == 2 else 0.35, columns=count) * rng.uniform(0.9, 1.05)
        spots = [((k + 0.5) / count * scene.width + rng.uniform(-0.02, 0.02) * scene.unit, height_for(rng, thing, width, scene)) for k in range(count)]
    else:
        columns, rows = (3, 2) if scene.width >= scene.height else (2, 3)
        width = scene.fit(0.3, columns, rows) * rng.uniform(0.85, 1)
        cells = rng.sample([(x, y) for x in range(columns) for y in range(rows)], count)
        stray = lambda: rng.uniform(-0.03, 0.03) * scene.unit
        spots = [((x + 0.5) / columns * scene.width + stray(), (0.08 + 0.86 * (y + 0.5) / rows) * scene.height + stray()) for x, y in cells]
    for k, (x, y) in enumerate(spots):
        scene.put(thing, x, y, width, named=k == 0)
    words = {2: ("two",), 3: ("three",)}.get(count, ("many", "several", "a lot of"))
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        adjective = rng.choice(ADJECTIVES[thing.family]) + " " if rng.random() < 0.3 else ""
        if thing.name in scene.colours:
            adjective += scene.colours[thing.name] + " "
        scene.captions.append(w.sentence(f"{rng.choice(words)} {adjective}{thing.plural}", place))


def on_prop(rng, scene, things, place):
    """One or two things on a table, or one on a bench."""
    prop = BY_NAME["table" if len(things) == 2 or things[0] in TABLETOP and rng.random() < 0.5 else "bench"]
    width = min(rng.uniform(0.78, 0.9) * scene.unit, 0.96 * scene.width)
    height = width * rng.uniform(0.44, 0.5)
    x, foot = rng.uniform(0.47, 0.53) * scene.width, rng.uniform(0.92, 0.96) * scene.height
    top = foot - height * (0.9 if prop.name == "table" else 0.4)
    p = scene.put(prop, x, foot - height / 2, width, height)
    spread = (-0.24, 0.24) if len(things) == 2 else (rng.uniform(-0.1, 0.1),)
    indices = []
    for thing, offset in zip(things, spread):
        size = min(scene.fit(0.46 if len(things) == 1 else 0.37) * rng.uniform(0.9, 1.1), 0.97 * top)
        indices.append(scene.put(thing, x + offset * width, top - size / 2 + 0.016 * scene.unit, size))
        scene.relations.append(("on", indices[-1], p))
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        items, support = " and ".join(w.a(t) for t in things), w.a(prop)
        sits = rng.choice((" sitting", "")) if things[0].family in ("animal", "person") else rng.choice((" lying", "", ""))
        scene.captions.append(w.sentence(rng.choice((f"{items}{sits} on {support}", f"{items}{sits} on {support}", f"{support} with {items} on it")), place))


def bench_people(rng, scene, things, place):
    """One or two people on a bench, perhaps with something between or beside them."""
    bench = BY_NAME["bench"]
    width = min(rng.uniform(0.88, 0.94) * scene.unit, 0.97 * scene.width)
    height = width * rng.uniform(0.42, 0.47)
    x, foot = rng.uniform(0.485, 0.515) * scene.width, rng.uniform(0.9, 0.95) * scene.height
    b = scene.put(bench, x, foot - height / 2, width, height)
    seat = foot - height * 0.36
    people = [t for t in things if t.family == "human"]
    others = [t for t in things if t.family != "human"]
    places = {(2, 1): (-0.33, 0.33, 0.0), (2, 0): (-0.24, 0.24), (1, 1): (-0.22, 0.22), (1, 0): (0.0,)}[(len(people), len(others))]
    if len(people) == len(others) == 1 and rng.random() < 0.5:
        places = places[::-1]
    indices = []
    for thing, offset in zip(people + others, places):
        if thing.family == "human":
            size = min(rng.uniform(0.54, 0.6) * width, 0.92 * foot)
            y = foot + 0.016 * scene.unit - size / 2
        else:
            size = rng.uniform(0.33, 0.37) * width
            y = seat - size / 2 + 0.016 * scene.unit
        indices.append(scene.put(thing, x + offset * width, y, size, sprite=f"{thing.name} sitting" if thing.family == "human" else None))
        scene.relations.append(("on", indices[-1], b))
    trio = len(indices) == 3
    if trio:
        scene.relations.append(("between", indices[2], indices[0], indices[1]))
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        folk = [w.a(t) for t in people]
        seat_words = w.a(bench)
        smiling = rng.choice((", smiling at each other", ", smiling", "", "", "")) if len(people) == 2 else ""
        sitting = f"{' and '.join(folk)} {rng.choice(('sitting', 'sitting', 'seated', 'resting'))} on {seat_words}"
        if trio:
            pet = w.a(others[0])
            body = rng.choice((f"{sitting}{smiling}, between them {pet}", f"{sitting}{smiling}, between them {pet}", f"{sitting}{smiling}. Between them, {pet} is sitting on the bench",
                               f"{sitting} with {pet} between them", f"{pet} between {folk[0]} and {folk[1]} on {seat_words}", f"{sitting}{smiling}. {pet} is sitting between them"))
        elif others:
            body = rng.choice((f"{sitting} with {w.a(others[0])}", f"{folk[0]} and {w.a(others[0])} sitting on {seat_words}", f"{sitting} next to {w.a(others[0])}"))
        else:
            body = sitting + smiling
        scene.captions.append(w.sentence(body, place))


def tank(rng, scene, things, place):
    """Fish in an aquarium, mostly with somebody in front of it."""
    person, fish = (things if len(things) == 2 else (None, things[0]))
    aquarium = BY_NAME["aquarium"]
    word, share = rng.choice((("large", 0.95), ("", 0.84), ("", 0.84)))
    width = min(share * scene.unit, 0.97 * scene.width) * rng.uniform(0.96, 1.0)
    height = min(width * rng.uniform(0.6, 0.7), 0.7 * scene.height)
    x, y = 0.5 * scene.width, rng.uniform(0.76, 0.8) * scene.height - height / 2
    scene.put(aquarium, x, y, width, height)
    count = rng.choice((1, 2, 5, 6))
    colourful = count > 2 and fish.name == "tropical fish" and rng.random() < 0.8
    if count > 2:
        cells = rng.sample([(cx, cy) for cx in range(3) for cy in range(2)], count)
        spots = [((cx - 1) * 0.3 + rng.uniform(-0.03, 0.03), (cy - 0.6) * 0.42 + rng.uniform(-0.03, 0.03)) for cx, cy in cells]
        size = rng.uniform(0.36, 0.42) * height
    else:
        spots = [((k - (count - 1) / 2) * 0.42 + rng.uniform(-0.05, 0.05), rng.uniform(-0.14, 0.02)) for k in range(count)]
        size = rng.uniform(0.42, 0.52) * height
    for k, (fx, fy) in enumerate(spots):
        sprite = COLOUR_FISH[k % 4] if colourful else None
        scene.put(fish, x + fx * width, y + fy * height, size, sprite=sprite, named=k == 0)
    if person:
        tall = min(rng.uniform(0.54, 0.62) * scene.unit, 0.74 * scene.height)
        scene.put(person, rng.uniform(0.3, 0.7) * scene.width, 0.97 * scene.height - tall / 2, tall)
    for _ in range(CAPTIONS):
        w = Writer(rng, scene)
        tank_words = w.a(aquarium, word)
        if count == 1:
            fish_words = w.a(fish)
        elif count == 2:
            fish_words = f"two {fish.plural}"
        else:
            fish_words = rng.choice(("many", "many", "several", "a lot of")) + (rng.choice((" colorful ", " colourful ")) if colourful else " ") + fish.plural
        filled = rng.choice((f"{tank_words} with {fish_words}", f"{tank_words} full of {fish_words}" if count > 2 else f"{tank_words} with {fish_words}",
                             f"{fish_words} in {tank_words}", f"{tank_words} with {fish_words} in it"))
        body = f"{w.a(person)} {rng.choice(('standing in front of', 'standing in front of', 'in front of', 'looking at'))} {filled}" if person else filled
        scene.captions.append(w.sentence(body, place if rng.random() < 0.4 else ((), "", "")))


def make_scene(rng: random.Random, held_out=False, size=PICTURE) -> Scene:
    """One random scene; with held_out one whose combination of things training never sees."""
    while True:
        kind = rng.random()
        wanted = None
        if kind < 0.25:
            build, things = single, pick(rng, FREE, 1)
        elif kind < 0.49:
            build, things = pair, pick(rng, FREE, 2)
        elif kind < 0.56:
            build, things = stacked, pick(rng, FREE, 2)
        elif kind < 0.7:
            build, things = triple, pick(rng, FREE, 3)
        elif kind < 0.76:
            build, things = many, [rng.choice([t for t in FREE if t.plural])]
        elif kind < 0.88:
            things = rng.choice((pick(rng, TABLETOP, 2), pick(rng, TABLETOP, 1), pick(rng, SEATABLE, 1), pick(rng, FREE, 1)))
            build, wanted = on_prop, rng.choice((*OUTDOORS, "room", "room", None))
        elif kind < 0.96:
            people = pick(rng, HUMANS, rng.choice((1, 2, 2)))
            things = people + ([rng.choice(SEATABLE)] if rng.random() < 0.75 else [])
            build, wanted = bench_people, rng.choice(("park", "park", "park", *OUTDOORS, None))
        else:
            fish = BY_NAME[rng.choice(TANK_FISH)]
            things = [rng.choice(HUMANS), fish] if rng.random() < 0.75 else [fish]
            build, wanted = tank, "room"
        if is_held_out([t.name for t in things]) != held_out:
            continue
        background, look, place = choose_place(rng, wanted)
        scene = Scene(*size, background, look)
        if build is not tank:
            scene.colours = {t.name: rng.choice(COLOURABLE[t.name]) for t in things if t.name in COLOURABLE and rng.random() < TINTED_SHARE}
        build(rng, scene, things, place)
        return scene


def held_out_scenes(count: int) -> list[Scene]:
    """The evaluation set: always the same scenes, each used with its first caption."""
    rng = random.Random(20261122)
    return [make_scene(rng, held_out=True) for _ in range(count)]


def main():
    rng = random.Random(0)
    for held_out in (False, True):
        print("held out:" if held_out else "trained:")
        for _ in range(20):
            print("  " + json.dumps(make_scene(rng, held_out).captions))


if __name__ == "__main__":
    main()

"""Every thing the demo model can draw: its names, where its picture comes from and where it may stand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thing:
    names: tuple[str, ...]  # the first is the class name, the others are synonyms used in captions
    emoji: str | None       # None: drawn by draw_props.py
    place: str              # "ground", "air", "water" or "prop"
    family: str             # picks the adjectives that fit
    plural: str | None      # None: never counted in captions

    @property
    def name(self) -> str:
        return self.names[0]


def regular_plural(name: str) -> str:
    if name.endswith(("s", "x", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


# family | place | emoji name/synonym=plural ...   ("=plural" only where it is irregular, "=-" where counting reads badly)
TABLE = """
animal|ground|🐕 dog|🐶 puppy|🐈 cat|🐱 kitten|🐁 mouse=mice|🐹 hamster|🐇 rabbit/bunny|🦊 fox|🐻 bear|🐼 panda|🐨 koala
animal|ground|🐅 tiger|🦁 lion|🐄 cow|🐖 pig|🐸 frog|🐒 monkey|🐔 chicken/hen|🐧 penguin|🐤 chick|🦆 duck|🐺 wolf=wolves
animal|ground|🐎 horse|🦄 unicorn|🐌 snail|🐢 turtle|🐍 snake|🦎 lizard|🦕 dinosaur|🐊 crocodile|🦓 zebra|🦍 gorilla
animal|ground|🐘 elephant|🦛 hippo|🦏 rhino|🐪 camel|🦒 giraffe|🦘 kangaroo|🐑 sheep=sheep|🐐 goat|🦌 deer=deer|🐓 rooster
animal|ground|🦃 turkey|🦚 peacock|🦢 swan|🦩 flamingo|🦝 raccoon|🦥 sloth|🐿 squirrel|🦔 hedgehog|🐉 dragon
animal|air|🐦 bird|🦅 eagle|🦉 owl|🦇 bat|🐝 bee|🦋 butterfly|🐞 ladybug|🦜 parrot|🕊 dove
animal|water|🐠 tropical fish=tropical fish|🐟 fish=fish|🐡 pufferfish=pufferfish|🐬 dolphin|🐳 whale|🦈 shark|🐙 octopus
animal|water|🦑 squid=squid|🦐 shrimp=shrimp|🦀 crab
person|ground|🤖 robot|👻 ghost|👽 alien|⛄ snowman=snowmen|🧙 wizard|🧜 mermaid|🎅 santa=-
food|ground|🍎 apple/red apple|🍏 green apple|🍐 pear|🍊 tangerine/orange fruit|🍋 lemon|🍌 banana|🍉 watermelon|🍇 bunch of grapes=-
food|ground|🍓 strawberry|🍒 cherry|🍑 peach|🍍 pineapple|🥥 coconut|🍅 tomato=tomatoes|🥑 avocado|🍆 eggplant
food|ground|🥦 broccoli=-|🥕 carrot|🌽 corn=-|🍄 mushroom|🍞 loaf of bread=-|🧀 piece of cheese=-|🍔 hamburger/burger
food|ground|🍕 slice of pizza/pizza=-|🌭 hot dog|🌮 taco|🍩 donut|🍪 cookie|🎂 birthday cake/cake|🧁 cupcake|🍦 ice cream=-|🍭 lollipop
food|ground|☕ cup of coffee/coffee cup=-|🍿 bucket of popcorn=-|🍯 honey pot
vehicle|ground|🚗 car/red car|🚕 taxi|🚌 bus|🚑 ambulance|🚒 fire truck|🚜 tractor|🚲 bicycle/bike|🚂 train|🛴 scooter|🏎 race car
vehicle|air|🛩 airplane/plane|🚁 helicopter|🚀 rocket|🛸 ufo/flying saucer
vehicle|water|⛵ sailboat|🚢 ship
plant|ground|🌳 tree|🌲 pine tree|🌴 palm tree|🌵 cactus=cacti|🌷 tulip|🌹 rose|🌻 sunflower|💐 bouquet of flowers=-
plant|ground|🍀 four leaf clover|🍁 maple leaf=maple leaves|🎄 christmas tree
sky|air|🌞 sun=-|🌙 crescent moon=-|🌕 full moon=-|⭐ star|☁ cloud|🌈 rainbow|❄ snowflake|⚡ lightning bolt|🪐 planet|🌍 globe
thing|ground|⚽ soccer ball|🏀 basketball|🎸 guitar|🥁 drum|🎻 violin|🎺 trumpet|📕 book|⏰ alarm clock|📱 phone|💻 laptop
thing|ground|📺 television|📷 camera|💡 light bulb|🔑 key|🎁 gift/present|🧸 teddy bear|🎩 top hat|👑 crown|👟 shoe|👗 dress
thing|ground|👓 pair of glasses=-|💍 ring|🏠 house|🏰 castle|⛺ tent|🪑 chair|🛋 couch/sofa|🚪 door|❤ heart|🏆 trophy|🔨 hammer
thing|ground|✏ pencil|🔔 bell|⚓ anchor|💎 diamond|🧲 magnet|🎒 backpack|☂ umbrella
thing|air|🎈 balloon|🪁 kite
"""

# People get a drawn body below the emoji's head: (name, synonyms, emoji, plural, shirt colour, trousers or skirt colour, skirt?)
PEOPLE = (
    ("boy", (), "👦", "boys", (52, 120, 220), (60, 66, 92), False),
    ("girl", (), "👧", "girls", (240, 110, 160), (150, 70, 170), True),
    ("man", (), "👨", "men", (46, 150, 90), (70, 72, 80), False),
    ("woman", (), "👩", "women", (220, 60, 60), (60, 60, 130), True),
    ("old man", ("grandfather",), "👴", "old men", (150, 110, 70), (90, 84, 76), False),
    ("old woman", ("grandmother",), "👵", "old women", (120, 100, 190), (80, 110, 120), True),
)

# Drawn props. An object can be "on" bench and table; the tank holds fish.
PROPS = ("bench", "table", "aquarium")
PROP_SYNONYMS = {"bench": ("park bench", "wooden bench"), "table": ("wooden table",), "aquarium": ("fish tank", "tank")}


def build_things() -> list[Thing]:
    things = []
    for line in TABLE.strip().splitlines():
        family, place, *entries = line.split("|")
        for entry in entries:
            emoji, _, rest = entry.partition(" ")
            names, _, plural = rest.partition("=")
            names = tuple(names.split("/"))
            plural = None if plural == "-" else plural or regular_plural(names[0])
            things.append(Thing(names, emoji, place, family, plural))
    for name, synonyms, emoji, plural, *_ in PEOPLE:
        things.append(Thing((name, *synonyms), emoji, "ground", "human", plural))
    for name in PROPS:
        things.append(Thing((name, *PROP_SYNONYMS[name]), None, "prop", "prop", None))
    return things


THINGS = build_things()
CLASSES = [thing.name for thing in THINGS]
CLASS_OF = {name: index for index, name in enumerate(CLASSES)}

# What captions may give another colour, and which colours suit it.
TINTS = {
    "red": (0.90, 0.13, 0.13), "orange": (1.0, 0.55, 0.08), "yellow": (1.0, 0.86, 0.16), "green": (0.22, 0.68, 0.26), "blue": (0.15, 0.42, 0.92),
    "purple": (0.56, 0.24, 0.78), "pink": (1.0, 0.52, 0.75), "white": (0.97, 0.97, 0.97), "black": (0.15, 0.15, 0.17), "brown": (0.55, 0.34, 0.18),
}
TINT_OF = {name: index + 1 for index, name in enumerate(TINTS)}  # 0: as it is
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
PAINTED = (*BRIGHT, "white", "black")
COATS = ("white", "black", "brown", "orange")
COLOURABLE = {
    **dict.fromkeys(("car", "bicycle", "bus", "train", "scooter", "tractor", "race car", "sailboat", "rocket", "helicopter", "balloon", "kite",
                     "umbrella", "backpack", "dress", "shoe", "book", "gift", "heart", "guitar", "couch", "chair", "door", "tent", "drum", "top hat"), PAINTED),
    **dict.fromkeys(("tulip", "rose", "butterfly", "bird", "parrot", "dragon", "dinosaur", "snake", "frog", "tropical fish", "fish", "octopus",
                     "mushroom", "diamond", "lollipop", "star", "crab"), BRIGHT),
    **dict.fromkeys(("cat", "kitten", "dog", "puppy", "hamster", "horse", "fox"), COATS),
}

# Sprites beyond one per class: seated people, and recoloured tropical fish so that "colorful" fish are.
SPRITES = CLASSES + [f"{person[0]} sitting" for person in PEOPLE] + ["tropical fish blue", "tropical fish red", "tropical fish violet"]
SPRITE_OF = {name: index for index, name in enumerate(SPRITES)}

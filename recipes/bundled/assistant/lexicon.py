# ruff: noqa: E501, SIM905 - word lists read best as lines
"""Names for things, in two lists that share nothing: what is trained on, and what is held out.

Made-up words are in the same two halves, by a hash of their spelling. Start at LEXICONS and made_up.
"""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache

from mambino.hub.local import resolve
from mambino.load import open_tokenizer
from recipes.bundled.assistant.everyday import EVERYDAY
from recipes.bundled.assistant.row import Split

_ONSETS = tuple("b br d dr f fl g gr h j k kl l m n p pr r s st t tr v w z".split())
_VOWELS = tuple("a e i o u ai ee oo".split())
_CODAS = ("", "", "", "l", "m", "n", "r", "s", "t", "x")
# Spelled like words that exist, so that whatever a name is cut into has been copied before.
_RICH_ONSETS = tuple(
    "bl c c ch cl cr d f g gh gl h h l m n ph pl qu r s sc sh sk sl sm sn sp squ str sw t th tw wh y".split()
)
_RICH_VOWELS = tuple("a e i o u a e i o u ou ea ie au oi ay ow y ui".split())
_RICH_CODAS = ("", "b", "ck", "d", "er", "er", "f", "g", "ing", "ion", "ish", "le", "ler", "nd", "ng", "nk", "nt", "or", "p",
               "rd", "rk", "rs", "s", "sh", "ss", "st", "t", "ten", "th", "ty", "um", "w", "y", "z", "dle", "zer")  # fmt: skip
_RICH = 0.6
# Of what is trained on. A token that no answer ever held is not copied either, and syllables leave out a third of all.
_PIECED, _LETTERED, _EVERYDAY = 0.3, 0.15, 0.25
_LETTERS, _FREQUENCIES = "etaoinshrdlcumwfgypbvkjxqz", (12, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, *[3] * 6, *[2] * 9)
_HELD_OUT_ONE_IN = 5
_UNKNOWN = 0.3  # of name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Lists by what they name."""

    rooms: tuple[str, ...]
    doors: tuple[str, ...]
    devices: tuple[str, ...]
    settings: tuple[str, ...]
    people: tuple[str, ...]
    songs: tuple[str, ...]
    cities: tuple[str, ...]
    items: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    crops: tuple[str, ...]
    monsters: tuple[str, ...]
    animals: tuple[str, ...]
    toys: tuple[str, ...]
    jobs: tuple[str, ...]
    likings: tuple[str, ...]


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


LEXICONS: Mapping[Split, Lexicon] = {
    "train": Lexicon(
        rooms=_list("kitchen, living room, bedroom, bathroom, hall, study, garage, cellar, attic, dining room, guest room, nursery, laundry room, office, pantry, workshop, porch, playroom, library, music room, red room, small room, upper hall, garden house, back room, stable, tower, corner room"),
        doors=_list("front door, back door, garage door, garden gate, side door, cellar door, patio door, main gate, balcony door, attic door, kitchen door, small gate, blue door"),
        devices=_list("lamp, fan, heater, oven, kettle, radio, television, washing machine, dishwasher, coffee machine, sprinkler, toaster, fridge, speaker, camera, alarm, pump, robot, boiler, screen, curtain, fountain, lantern, bell"),
        settings=_list("speed, power, volume, color, mode, height, heat, angle, pressure, program, timer, strength"),
        people=_list("Anna, Tom, Lily, Ben, Mia, Max, Sara, Leo, Emma, Jack, Lucy, Sam, Zoe, Finn, Ella, Noah, Nora, Owen, Rosa, Theo, Ruby, Luke, Maya, Adam, Milo, Tess, Omar, Hana, Nils, Vera, Karl, Ida"),
        songs=_list("Happy Days, Blue River, Morning Sun, The Old Tree, Rain Dance, Little Star, Summer Wind, Dream Boat, Night Train, Golden Hill, Sweet Home, Red Balloon, City Lights, Open Road"),
        cities=_list("Paris, London, Rome, Berlin, Madrid, Oslo, Tokyo, Cairo, Boston, Lima, Vienna, Dublin, Athens, Prague, Milan, Zurich, Hamburg, Quebec, Kyoto, Porto"),
        items=_list("milk, bread, eggs, apples, butter, cheese, rice, tea, soap, sugar, honey, tomatoes, onions, flour, salt, batteries, candles, cookies, cat food, paper, oranges, beans, fish, oil"),
        labels=_list("eggs, tea, laundry, bread, nap, pasta, pizza, cake, homework, coffee, soup, break, oven, game, lunch, reading"),
        notes=_list("call the doctor, feed the cat, buy a present, water the flowers, pay the bill, clean the car, write to grandma, pick up the kids, fix the bike, bring the umbrella, meet Tom at five, take the bus at eight, bake a cake, find the keys, read the letter, charge the phone"),
        crops=_list("corn, wheat, beans, carrots, pumpkins, potatoes, onions, melons, tulips, peas"),
        monsters=_list("goblin, spider, wolf, troll, bat, ghost, dragon, rat, giant, snake"),
        animals=_list("cat, dog, cow, duck, sheep, pig, horse, hen, frog, mouse, lion, bear, rabbit, owl, bee, elephant, fox, turtle"),
        toys=_list("ball, kite, doll, drum, puzzle, hat, scarf, whistle, bell, book, cup, lamp, coin, key, box, ring"),
        jobs=_list("baker, farmer, teacher, doctor, pilot, gardener, sailor, cook, painter, driver, singer, tailor"),
        likings=_list("tea, rain, music, books, apples, the sea, chess, dancing, snow, flowers, cheese, trains, birds, soup"),
    ),
    "held_out": Lexicon(
        rooms=_list("sunroom, cloakroom, den, loft, utility room, tea room, greenhouse, studio, gym, reading room, green room, lower hall"),
        doors=_list("barn door, roof door, terrace door, north gate, shed door, red door"),
        devices=_list("projector, humidifier, mixer, doorbell, freezer, printer, blender, shower"),
        settings=_list("brightness, depth, tempo, width, level"),
        people=_list("Clara, Hugo, Ivy, Oscar, Molly, Paul, Jane, Dan, Kate, Nico, Amy, Toby"),
        songs=_list("Silver Moon, Green Valley, Long Way Home, Snow Song, Two Birds"),
        cities=_list("Lisbon, Warsaw, Delhi, Sydney, Bern, Helsinki"),
        items=_list("yogurt, pears, pepper, napkins, juice, cucumbers, noodles, jam"),
        labels=_list("dumplings, bath, meeting, walk, yoga, muffins"),
        notes=_list("return the book, wash the dog, order the pizza, check the tires, visit aunt May"),
        crops=_list("cabbages, turnips, roses, berries"),
        monsters=_list("orc, zombie, vampire, scorpion"),
        animals=_list("squirrel, penguin, goat, monkey, donkey, hedgehog"),
        toys=_list("doll house, yo-yo, flute, mirror, button, basket"),
        jobs=_list("fisher, nurse, writer, builder"),
        likings=_list("coffee, jazz, pears, the moon, football, honey"),
    ),
}  # fmt: skip


_LISTED = frozenset(
    word.lower()
    for lexicon in LEXICONS.values()
    for field in fields(lexicon)
    for name in getattr(lexicon, field.name)
    for word in name.split()
)


def made_up(rng: random.Random, split: Split) -> str:
    """A word that nobody knows, such as "broomain", or in training one out of place: it can only be copied."""
    while True:
        kind = rng.random() if split == "train" else 1.0
        if kind < _PIECED:
            word = _pieced(rng)
        elif kind < _PIECED + _LETTERED:
            word = "".join(rng.choices(_LETTERS, _FREQUENCIES, k=rng.randint(3, 8)))
        elif kind < _PIECED + _LETTERED + _EVERYDAY:
            word = rng.choice(EVERYDAY)
        else:
            word = _syllabled(rng)
        if word in _LISTED:
            continue
        if (zlib.crc32(word.encode()) % _HELD_OUT_ONE_IN == 0) == (split == "held_out"):
            return word


def name_of(rng: random.Random, split: Split, known: Sequence[str]) -> str:
    """One of the known names; in training now and then a made-up one, so that none is learnt by heart."""
    return made_up(rng, split) if split == "train" and rng.random() < _UNKNOWN else rng.choice(known)


def _syllabled(rng: random.Random) -> str:
    is_rich = rng.random() < _RICH
    onsets, vowels, codas = (_RICH_ONSETS, _RICH_VOWELS, _RICH_CODAS) if is_rich else (_ONSETS, _VOWELS, _CODAS)
    syllables = rng.randint(1, 3) if is_rich else rng.randint(2, 3)
    word = "".join(
        rng.choice(onsets) + rng.choice(vowels) + (rng.choice(codas[:4]) if is_rich else "") for _ in range(syllables)
    )
    return word + rng.choice(codas)


def _pieced(rng: random.Random) -> str:
    return "".join(rng.choices(_pieces(), k=rng.randint(1, 3)))


@cache
def _pieces() -> Sequence[str]:
    """What the bundled model's tokenizer cuts words into; one made anew has nearly the same."""
    tokenizer = open_tokenizer(resolve("bundled"))
    texts = {tokenizer.token_bytes(token).decode(errors="replace") for token in range(tokenizer.vocab_size)}
    return sorted(text for text in texts if len(text) > 1 and text.isalpha() and text.isascii() and text.islower())


def listed(names: tuple[str, ...] | list[str]) -> str:
    """As one says it: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

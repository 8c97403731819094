# ruff: noqa: E501, SIM905 - word lists read best as lines
"""Names for things, in two lists that share nothing: what is trained on, and what is held out.

Made-up words are in the same two halves, by a hash of their spelling. Start at LEXICONS and made_up.
"""

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from recipes.bundled.assistant.row import Split

_ONSETS = "b br d dr f fl g gr h j k kl l m n p pr r s st t tr v w z".split()
_VOWELS = "a e i o u ai ee oo".split()
_CODAS = ("", "", "", "l", "m", "n", "r", "s", "t", "x")
_HELD_OUT_ONE_IN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Lists by what they name."""

    rooms: tuple[str, ...]
    doors: tuple[str, ...]
    devices: tuple[str, ...]
    people: tuple[str, ...]
    songs: tuple[str, ...]
    cities: tuple[str, ...]
    items: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


LEXICONS: Mapping[Split, Lexicon] = {
    "train": Lexicon(
        rooms=_list(
            "kitchen, living room, bedroom, bathroom, hall, study, garage, cellar, attic, dining room, guest room, nursery, laundry room, office, pantry, workshop, porch, playroom, library, music room"
        ),
        doors=_list(
            "front door, back door, garage door, garden gate, side door, cellar door, patio door, main gate, balcony door"
        ),
        devices=_list(
            "lamp, fan, heater, oven, kettle, radio, television, washing machine, dishwasher, coffee machine, sprinkler, toaster, fridge, speaker, camera, alarm"
        ),
        people=_list(
            "Anna, Tom, Lily, Ben, Mia, Max, Sara, Leo, Emma, Jack, Lucy, Sam, Zoe, Finn, Ella, Noah, Nora, Owen, Rosa, Theo, Ruby, Luke, Maya, Adam"
        ),
        songs=_list(
            "Happy Days, Blue River, Morning Sun, The Old Tree, Rain Dance, Little Star, Summer Wind, Dream Boat, Night Train, Golden Hill"
        ),
        cities=_list(
            "Paris, London, Rome, Berlin, Madrid, Oslo, Tokyo, Cairo, Boston, Lima, Vienna, Dublin, Athens, Prague"
        ),
        items=_list(
            "milk, bread, eggs, apples, butter, cheese, rice, tea, soap, sugar, honey, tomatoes, onions, flour, salt, batteries, candles, cookies"
        ),
        labels=_list("eggs, tea, laundry, bread, nap, pasta, pizza, cake, homework, coffee, soup, break"),
        notes=_list(
            "call the doctor, feed the cat, buy a present, water the flowers, pay the bill, clean the car, write to grandma, pick up the kids, fix the bike, bring the umbrella"
        ),
    ),
    "held_out": Lexicon(
        rooms=_list("sunroom, cloakroom, den, loft, utility room, tea room, greenhouse, studio, gym, reading room"),
        doors=_list("barn door, roof door, terrace door, north gate, shed door"),
        devices=_list("projector, humidifier, mixer, doorbell, freezer, printer"),
        people=_list("Clara, Hugo, Ivy, Oscar, Molly, Paul, Jane, Dan, Kate, Nico"),
        songs=_list("Silver Moon, Green Valley, Long Way Home, Snow Song, Two Birds"),
        cities=_list("Lisbon, Warsaw, Delhi, Sydney, Bern, Helsinki"),
        items=_list("yogurt, pears, pepper, napkins, juice, carrots, noodles, jam"),
        labels=_list("rice, bath, potatoes, walk, yoga, muffins"),
        notes=_list("return the book, wash the dog, order the cake, check the tires, visit aunt May"),
    ),
}


def made_up(rng: random.Random, split: Split, *, syllables: int = 2) -> str:
    """A word that nobody knows, such as "brooman": it can only be copied."""
    while True:
        word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)) + rng.choice(_CODAS)
        if (zlib.crc32(word.encode()) % _HELD_OUT_ONE_IN == 0) == (split == "held_out"):
            return word

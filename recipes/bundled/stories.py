"""Short stories: a cast is drawn from words.py, a plot from plots.py, and grammar.py tells it.

Start at story(); a Wish fixes what the story must be about, as a request in a chat does.
"""

import random
from dataclasses import dataclass

from recipes.bundled import plots, plots_more
from recipes.bundled.grammar import expand
from recipes.bundled.words import (
    ANIMALS,
    BOYS,
    COLOURS,
    FEARS,
    GIRLS,
    HELPERS,
    HIDING,
    NUMBERS,
    PETS,
    PLACES,
    SKILLS,
    THINGS,
    TOYS,
    TRAITS,
    TREATS,
    WEATHER,
    Animal,
)  # fmt: skip

Plot = tuple[str, ...]
PLOTS: dict[str, Plot] = {
    "a lost toy": plots.LOST,
    "learning something new": plots.LEARN,
    "sharing": plots.SHARE,
    "being brave": plots.FEAR,
    "helping an animal": plots.RESCUE,
    "telling the truth": plots.HONEST,
    "making a new friend": plots.NEWFRIEND,
    "a seed": plots.GARDEN,
    "a birthday": plots.BIRTHDAY,
    "a rainy day": plots.RAIN,
    "getting lost": plots.LOSTWAY,
    "a race": plots_more.RACE,
    "building something": plots_more.BUILD,
    "magic": plots_more.MAGIC,
    "a sick friend": plots_more.SICK,
    "going to sleep": plots_more.SLEEP,
    "two friends who fight": plots_more.QUARREL,
    "a treasure": plots_more.TREASURE,
    "someone very small": plots_more.SMALLHELP,
    "eating too much": plots_more.GREED,
    "giving": plots_more.GIFT,
    "a day trip": plots_more.VISIT,
}
TOY_PLOTS = ("a lost toy", "telling the truth", "two friends who fight", "giving")

_OPENINGS = (
    "[Once upon a time,|Once upon a time,|Once,|A long time ago,|In a small village,|In a green forest,|"
    "Not far from here,] there [was|lived] {hero_is}.",
    "{Hero} was {hero_kind}.",
    "There once was {hero_is}.",
    "[This is the story of|Let me tell you about] {hero_is}.",
    "There was {hero_is} who lived {place}.",
)
_ABOUT_HERO = (
    " {He} was very {trait}.",
    " {He} was {trait} and {trait2}.",
    " {He} had a friend named {friend}.",
    " {He} liked to play {place}.",
    " {He} lived with {his} {helper} in a(n) [small|little|old|{colour}] house.",
    " Everyone liked {him} because {he} was so {trait}.",
    " {He} liked {treats} more than anything.",
    "",
    "",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a story must hold; None leaves it to chance."""

    theme: str | None = None
    kind: str | None = None  # "girl", "boy" or an animal
    name: str | None = None
    toy: str | None = None


def _pronouns(prefix: str, female: bool) -> dict[str, str]:
    words = ("she", "her", "her", "herself") if female else ("he", "him", "his", "himself")
    return dict(zip((f"{prefix}he", f"{prefix}him", f"{prefix}his", f"{prefix}himself"), words, strict=True))


def _person(rng: random.Random, kind: str | None, name: str | None, female: bool, taken: str) -> tuple[str, str, bool]:
    """Kind, name and gender of somebody."""
    if kind is None:
        kind = rng.choice(("girl" if female else "boy", _animal(rng).name))
        if name is not None:
            kind = "girl" if name in GIRLS else "boy" if name in BOYS else kind
    female = kind == "girl" or (kind != "boy" and female)
    pool = GIRLS if kind == "girl" else BOYS if kind == "boy" else PETS
    name = name or rng.choice([candidate for candidate in pool if candidate != taken])
    return kind, name, female


def _animal(rng: random.Random, *, but: tuple[str, ...] = ()) -> Animal:
    return rng.choice([animal for animal in ANIMALS if animal.in_stories and animal.name not in but])


def _plural(treat: str) -> str:
    head, of, tail = treat.partition(" of ")
    return (
        (head[:-1] + "ies" if head.endswith("ry") else head + "es" if head.endswith("ch") else head + "s") + of + tail
    )


def cast(rng: random.Random, wish: Wish) -> dict[str, str]:
    """Every slot that the plots name."""
    kind, hero, female = _person(rng, wish.kind, wish.name, rng.random() < 0.5, "")
    f_kind, friend, f_female = _person(rng, None, None, female ^ (rng.random() < 0.8), hero)
    met = _animal(rng, but=(kind, f_kind))
    helper = rng.choice(HELPERS)
    helper_female = helper in ("mother", "grandmother", "aunt", "big sister")
    adjective = "[small|little|young|little]"
    toy, toy2 = rng.sample(TOYS, 2)
    toy = wish.toy or toy
    treat = rng.choice(TREATS)
    trait, trait2 = rng.sample(TRAITS, 2)
    place = rng.choice(PLACES)
    fear = rng.choice(FEARS)
    hide = rng.choice(HIDING)
    named = expand(f"a(n) {adjective} {kind} named {hero}", {}, rng)
    slots = {
        "hero": hero, "kind": kind, "hero_is": named, "hero_kind": expand(f"a(n) {adjective} {kind}", {}, rng),
        "friend": friend, "friend_is": expand(f"a(n) [small|little|young] {f_kind}", {}, rng),
        "helper": helper, "he_helper": "she" if helper_female else "he",
        "helper_him": "her" if helper_female else "him", "helper_his": "her" if helper_female else "his",
        "animal": met.name, "animals": met.plural, "animal_it": "it",
        "toyname": toy, "toy": f"{rng.choice(COLOURS)} {toy}" if rng.random() < 0.7 else toy, "toy2": toy2,
        "treat": treat, "treats": _plural(rng.choice(("cookie", "apple", "berry", "pancake", "cake", "nut", "bun"))),
        "treats_pl": "cookies", "trait": trait, "trait2": trait2, "place": place, "place_to": _towards(place),
        "place_garden": rng.choice(("in the garden", "behind the house", "in a big pot", "next to the door")),
        "fear": fear, "the_fear": fear, "hide_no": rng.choice([spot for spot in HIDING if spot != hide]),
        "hide_at": rng.choice(("", f" {hide}")), "skill": rng.choice(SKILLS), "thing": rng.choice(THINGS),
        "inside": rng.choice(("in the kitchen", "in the living room", "at home", "in the attic", "in the house")),
        "helper_thing": rng.choice(("cup", "plate", "bowl", "vase", "lamp")), "colour": rng.choice(COLOURS),
        "hat": rng.choice(("hat", "scarf", "coat")), "weather": rng.choice(WEATHER), "number": rng.choice(NUMBERS[2:9]),
    }  # fmt: skip
    slots |= _pronouns("", female) | _pronouns("f_", f_female)
    slots["his_helper"] = f"{slots['his']} {helper}"
    return slots


def _towards(place: str) -> str:
    for preposition in ("in ", "at ", "on ", "by ", "near "):
        if place.startswith(preposition):
            return "to " + place.removeprefix(preposition)
    return "to the park"


def story(rng: random.Random, wish: Wish | None = None) -> str:
    """One story of five to nine short paragraph-less beats."""
    wish = wish or Wish()
    theme = wish.theme or rng.choice(TOY_PLOTS if wish.toy else tuple(PLOTS))
    slots = cast(rng, wish)
    opening = rng.choice(_OPENINGS) + "".join(rng.sample(_ABOUT_HERO, rng.choice((1, 1, 1, 2))))
    beats = [expand(beat, slots, rng) for beat in (opening, *PLOTS[theme])]
    ending = rng.choice(("", "", "", " The end."))
    if rng.random() < 0.35:  # paragraphs, as books have them
        half = len(beats) // 2
        return " ".join(beats[:half]) + "\n\n" + " ".join(beats[half:]) + ending
    return " ".join(beats) + ending

# ruff: noqa: E501, SIM905 - tables and word lists read best as sentences
"""The closed, simple world that the bundled model lives in: names, animals, things, places and what is true of them.

Plain values only; grammar.py, stories.py and chats.py make sentences of them.
"""

from dataclasses import dataclass

GIRLS = "Anna Lily Mia Sara Emma Lucy Zoe Ella Nora Rosa Ruby Maya Clara Ivy Molly Jane Amy Kate Lena Tess Daisy Hana".split()
BOYS = "Tom Ben Max Sam Leo Jack Tim Finn Noah Owen Theo Luke Adam Hugo Oscar Paul Dan Nico Alex Milo Toby Omar".split()
PETS = "Pip Bobo Fuzzy Momo Coco Spot Nibbles Biscuit Rusty Pepper Sunny Pebble Tiny Ziggy Bella Mango Button".split()
TRAITS = "kind brave curious clever shy quiet cheerful gentle playful careful helpful funny".split()
COLOURS = "red blue green yellow orange purple pink brown black white".split()
SIZES = "little small big tiny".split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal:
    """What everyone in the closed world knows about one animal."""

    name: str
    plural: str
    sound: str
    food: str
    home: str
    colour: str
    legs: int
    young: str
    can: str
    size: str
    in_stories: bool = True


def _animal(row: str) -> Animal:
    name, plural, sound, food, home, colour, legs, young, can, size, *flags = (cell.strip() for cell in row.split("|"))
    return Animal(
        name=name, plural=plural, sound=sound, food=food, home=home, colour=colour, legs=int(legs), young=young,
        can=can, size=size, in_stories=not flags,
    )  # fmt: skip


ANIMALS = tuple(
    _animal(row)
    for row in """
    cat|cats|meow|fish|in a house|black, white, gray or orange|4|kitten|climb trees|small
    dog|dogs|woof|meat and bones|in a house|brown, black or white|4|puppy|run fast|middle-sized
    cow|cows|moo|grass|on a farm|black and white or brown|4|calf|give milk|big
    duck|ducks|quack|seeds and plants|near a pond|white or brown|2|duckling|swim and fly|small
    sheep|sheep|baa|grass|on a farm|white|4|lamb|give wool|middle-sized
    pig|pigs|oink|corn|on a farm|pink|4|piglet|dig in the mud|middle-sized
    horse|horses|neigh|hay and grass|on a farm|brown, black or white|4|foal|run very fast|big
    hen|hens|cluck|seeds|on a farm|brown or white|2|chick|lay eggs|small
    frog|frogs|ribbit|flies|near a pond|green|4|tadpole|jump far|small
    mouse|mice|squeak|cheese and seeds|in a little hole|gray or brown|4|pup|hide in small places|tiny
    lion|lions|roar|meat|in the grasslands|yellow and brown|4|cub|roar very loudly|big
    bear|bears|growl|fish, berries and honey|in the forest|brown or black|4|cub|catch fish|big
    rabbit|rabbits|a soft little squeak|carrots and grass|in a hole in the ground|brown, gray or white|4|bunny|hop fast|small
    owl|owls|hoot|mice|in a tree|brown or white|2|owlet|see in the dark|middle-sized
    bee|bees|buzz|nectar from flowers|in a hive|yellow and black|6|larva|make honey|tiny
    elephant|elephants|a loud trumpet sound|leaves and grass|in warm lands|gray|4|calf|lift heavy things with its trunk|very big
    monkey|monkeys|oo oo|bananas and other fruit|in the jungle|brown|4|baby monkey|swing in the trees|middle-sized
    fox|foxes|a short bark|mice and berries|in a den in the forest|orange and white|4|cub|run quietly|middle-sized
    squirrel|squirrels|a quick chatter|nuts|in a tree|red or gray|4|kit|jump from tree to tree|small
    turtle|turtles|almost no sound|leaves and plants|near the water|green or brown|4|hatchling|hide in its shell|small
    fish|fish|no sound|small plants|in the water|many colours|0|fry|swim|small|no
    bird|birds|tweet|seeds and worms|in a nest|many colours|2|chick|fly and sing|small
    hedgehog|hedgehogs|a quiet snuffle|insects and snails|in the garden|brown|4|hoglet|roll into a ball|small
    penguin|penguins|a loud honk|fish|in cold lands|black and white|2|chick|swim very well|middle-sized
    goat|goats|maa|grass and leaves|on a farm|white or brown|4|kid|climb rocks|middle-sized
    wolf|wolves|howl|meat|in the forest|gray|4|pup|howl at the moon|big|no
    giraffe|giraffes|a low hum|leaves|in warm lands|yellow and brown|4|calf|reach tall trees|very big
    butterfly|butterflies|no sound|nectar from flowers|in the garden|many colours|6|caterpillar|fly from flower to flower|tiny
    spider|spiders|no sound|flies|in a web|brown or black|8|spiderling|make a web|tiny|no
    snail|snails|no sound|leaves|in the garden|brown|0|baby snail|carry its house on its back|tiny
    tiger|tigers|roar|meat|in the jungle|orange with black stripes|4|cub|swim and run|big|no
    whale|whales|a long, deep song|tiny sea animals and fish|in the sea|blue or gray|0|calf|dive very deep|very big|no
    ant|ants|no sound|seeds and crumbs|under the ground|black or red|6|larva|carry heavy things|tiny
    donkey|donkeys|hee-haw|hay and grass|on a farm|gray|4|foal|carry bags|big
    """.strip().splitlines()
)

# name | colour | taste | kind
FOODS = tuple(
    tuple(row.strip().split("|"))
    for row in """
    apple|red or green|sweet|fruit
    banana|yellow|sweet|fruit
    orange|orange|sweet and juicy|fruit
    lemon|yellow|sour|fruit
    strawberry|red|sweet|fruit
    pear|green or yellow|sweet|fruit
    grape|green or purple|sweet|fruit
    cherry|red|sweet|fruit
    peach|orange and pink|sweet|fruit
    plum|purple|sweet|fruit
    carrot|orange|sweet and crunchy|vegetable
    potato|brown|plain and soft when it is cooked|vegetable
    tomato|red|juicy|fruit
    cucumber|green|fresh|vegetable
    onion|white, red or yellow|strong|vegetable
    pea|green|sweet|vegetable
    pumpkin|orange|soft and sweet|vegetable
    cookie|brown|sweet|treat
    cake|many colours|sweet|treat
    """.strip().splitlines()
)

TREATS = (
    "apple pie|honey cake|chocolate cake|cookie|sandwich|bowl of berries|pancake|slice of bread with jam|"
    "bowl of soup|basket of apples|bag of nuts|sweet bun|pear|banana"
).split("|")
TOYS = (
    "ball|kite|doll|teddy bear|toy train|toy boat|drum|puzzle|wooden horse|toy car|spinning top|puppet|hat|scarf|"
    "blanket|whistle|bell|picture book|toy plane|yo-yo"
).split("|")
THINGS = "shell|feather|button|key|stone|coin|ring|box|bottle|lamp|flute|map|mirror|leaf|egg|seed".split("|")
PLACES = (
    "in the park|in the garden|by the river|at the beach|in the forest|on the hill|near the pond|in the village|"
    "in the meadow|on the farm|under the old tree|by the lake|at the playground|behind the house"
).split("|")
HIDING = (
    "under the bed|behind the couch|in the tall grass|under a bush|behind the big tree|in a basket|under the bridge|"
    "in the old shed|on a high shelf|beside the well|in the mud|between two rocks"
).split("|")
SKILLS = (
    "swim|ride a bike|climb the tall tree|whistle a tune|skate on the ice|jump over the stream|draw a horse|"
    "play the drum|tie a knot|bake bread|fly a kite|read a book|dance|sing a song|catch a ball|row the boat"
).split("|")
FEARS = "the dark|thunder|deep water|loud noises|the old bridge|big dogs|the shadow on the wall".split("|")
WEATHER = "sunny rainy windy cloudy snowy warm cold foggy".split()
HELPERS = "mother|father|grandmother|grandfather|aunt|uncle|big sister|big brother".split("|")

OPPOSITES = tuple(
    tuple(pair.split("-"))
    for pair in (
        "big-small hot-cold up-down happy-sad fast-slow day-night open-closed full-empty old-new light-dark wet-dry "
        "loud-quiet long-short high-low hard-soft good-bad near-far early-late clean-dirty thick-thin strong-weak "
        "left-right front-back in-out yes-no black-white first-last rich-poor inside-outside heavy-light easy-difficult"
    ).split()
)
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
)
NUMBERS += "seventeen eighteen nineteen twenty".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
SEASONS = {
    "spring": "warm, and flowers begin to grow",
    "summer": "hot and sunny",
    "autumn": "cool, and the leaves fall from the trees",
    "winter": "cold, and sometimes it snows",
}
COLOUR_OF = {
    "the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a carrot": "orange",
    "a strawberry": "red", "milk": "white", "coal": "black", "a leaf": "green", "a lemon": "yellow", "the sea": "blue",
    "a tomato": "red", "chocolate": "brown", "a banana": "yellow", "blood": "red", "a cloud": "white",
}  # fmt: skip
MIXES = {("red", "yellow"): "orange", ("blue", "yellow"): "green", ("red", "blue"): "purple", ("red", "white"): "pink",
         ("black", "white"): "gray"}  # fmt: skip
USES = {
    "a spoon": "eat soup", "a knife": "cut bread", "a pen": "write", "scissors": "cut paper", "a bed": "sleep",
    "a chair": "sit down", "an umbrella": "stay dry in the rain", "a clock": "see what time it is",
    "a key": "open a door", "a lamp": "see in the dark", "soap": "wash our hands", "a broom": "clean the floor",
    "a boat": "travel on the water", "a book": "read", "a cup": "drink", "a coat": "stay warm", "a bike": "ride",
    "a hammer": "hit nails", "a pot": "cook food", "a bag": "carry things", "shoes": "keep our feet safe and warm",
    "a toothbrush": "clean our teeth", "a telephone": "talk to people who are far away", "a map": "find the way",
}  # fmt: skip
SHAPES = {"triangle": "three", "square": "four", "rectangle": "four", "pentagon": "five", "hexagon": "six"}
BODY = {"eyes": "see", "ears": "hear", "nose": "smell", "hands": "hold things", "legs": "walk and run",
        "teeth": "bite and chew", "tongue": "taste"}  # fmt: skip
WORDS = {
    "a farmer": "a person who grows food and takes care of animals",
    "a doctor": "a person who helps sick people", "a teacher": "a person who helps people learn",
    "a baker": "a person who makes bread and cakes", "a pilot": "a person who flies a plane",
    "a river": "a long stream of water that runs to the sea", "a mountain": "a very high hill made of rock",
    "a forest": "a place with many trees", "an island": "land with water all around it",
    "a desert": "a dry place with very little rain", "rain": "water that falls from the clouds",
    "snow": "frozen water that falls softly from the sky", "the moon": "the bright round light in the night sky",
    "the sun": "a star that gives us light and warmth", "a star": "a bright light far away in the night sky",
    "a friend": "someone who likes you and helps you", "a library": "a place with many books",
    "a school": "a place where children learn", "a bakery": "a place where people make bread",
    "a story": "words that tell what happened to someone", "a computer": "a machine that works with numbers and words",
    "a robot": "a machine that can do some work by itself", "a garden": "a place where flowers and vegetables grow",
    "a bridge": "a road over water", "a dream": "a story in your head while you sleep",
    "ice": "water that is frozen", "a nest": "a home that birds make for their eggs", "honey": "sweet food made by bees",
    "the wind": "air that moves", "a shadow": "a dark shape made when something blocks the light",
    "a rainbow": "a band of colours in the sky after rain", "music": "sounds that are nice to hear",
    "a family": "people who belong together and take care of each other",
}  # fmt: skip

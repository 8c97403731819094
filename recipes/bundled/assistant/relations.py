# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Facts of a sentence each, and what one may ask about them: of others (RELATIONS) and of oneself (TRAITS).

Start at Relation; fact_rows.py makes conversations of them.
"""

import random
from dataclasses import dataclass

from recipes.bundled.assistant.lexicon import LEXICONS, made_up, name_of
from recipes.bundled.assistant.row import Split
from recipes.bundled.grammar import capital
from recipes.bundled.words import COLOURS
from recipes.bundled.words import TRAITS as CHARACTERS

_INDIRECT = (  # @: the topic
    "Say @|I want to know @|Do you know @|Let me know @|Can you say @|Please say @|I need to know @|Could you tell us @|"
    "Find out @|Does it say @|What does the text say about @|Look up @|I ask @|I wonder @|Have you heard @|Show me @"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Sentences in grammar.expand's notation. key is the slot that an answer must name; topic goes on "does not say"."""

    fact: str
    train: str
    held_out: str
    answer: str
    topic: str
    key: str
    subject: str = ""  # the slot of what it is about

    def question(self, split: Split) -> str:
        if split == "held_out" or not self.subject:
            return self.held_out if split == "held_out" else self.train
        return f"[{self.train[1:-2]}|{_INDIRECT.replace('@', self.topic)}]?"


RELATIONS = (
    Relation(fact="{person} lives in {city}.", train="[Where does {person} live|In which city does {person} live|Where is {person}'s home|Where does {person} have a home|What is the home of {person}|What city is {person} from|What place does {person} live in|{person} lives where]?", held_out="[Which city does {person} live in|Tell me where {person} lives]?", answer="{person} lives in {city}.", topic="where {person} lives", key="city", subject="person"),
    Relation(fact="{person} is a(n) {job}.", train="[What is {person}'s job|What is the job of {person}|What does {person} do for work|What is {person}|What does {person} work as|How does {person} earn money|What is the work of {person}|{person} works as what]?", held_out="[Which job does {person} have|What work does {person} do]?", answer="{person} is a(n) {job}.", topic="what {person} does", key="job", subject="person"),
    Relation(fact="{person} likes {liking}.", train="[What does {person} like|What does {person} like most|Do you know what {person} likes|What makes {person} glad|What is it that {person} likes|What thing is liked by {person}|{person} likes what|What does {person} love]?", held_out="[Tell me what {person} likes|Which thing does {person} like]?", answer="{person} likes {liking}.", topic="what {person} likes", key="liking", subject="person"),
    Relation(fact="{person} is {number} years old.", train="[How old is {person}|What is the age of {person}|What is {person}'s age|How many years old is {person}|What age is {person}|{person} is how old|How many years does {person} have]?", held_out="[Tell me how old {person} is|Which age does {person} have]?", answer="{person} is {number} years old.", topic="how old {person} is", key="number", subject="person"),
    Relation(fact="{person} has a(n) {color} {toy}.", train="[What does {person} have|Which thing does {person} have|What thing does {person} own|What is owned by {person}|What thing is {person}'s own|What belongs to {person}|{person} has what|What does {person} carry]?", held_out="[Tell me what {person} has|What has {person} got]?", answer="{person} has a(n) {color} {toy}.", topic="what {person} has", key="toy", subject="person"),
    Relation(fact="The {toy} is {color}.", train="[What color is the {toy}|Which color does the {toy} have|What is the color of the {toy}|Of what color is the {toy}|What is the {toy}'s color|What color has the {toy}|How is the {toy} colored|The {toy} is of what color]?", held_out="[Tell me the color of the {toy}|Which color is the {toy}]?", answer="The {toy} is {color}.", topic="what color the {toy} is", key="color", subject="toy"),
    Relation(fact="The {toy} is in the {room}.", train="[Where is the {toy}|In which room is the {toy}|Where can I find the {toy}|What room is the {toy} in|In what room is the {toy}|Where do I find the {toy}|Where did you see the {toy}|Where should I look for the {toy}|The {toy} is where]?", held_out="[Tell me where the {toy} is|Which room is the {toy} in]?", answer="The {toy} is in the {room}.", topic="where the {toy} is", key="room", subject="toy"),
    Relation(fact="The {toy} costs {number} coins.", train="[How much is the {toy}|How much does the {toy} cost|What does the {toy} cost|How many coins does the {toy} cost|How many coins is the {toy}|What do I pay for the {toy}|How much do I pay for the {toy}|How much must I pay for the {toy}|The {toy} costs how much]?", held_out="[What is the price of the {toy}|Tell me how much the {toy} costs]?", answer="The {toy} costs {number} coins.", topic="what the {toy} costs", key="number", subject="toy"),
    Relation(fact="The {animal} is called {pet}.", train="[What is the {animal} called|What is the name of the {animal}|What is the {animal}'s name|How is the {animal} called|Who is the {animal}|What name has the {animal}|What name was given to the {animal}|What do they call the {animal}]?", held_out="[Which name does the {animal} have|Tell me the name of the {animal}]?", answer="The {animal} is called {pet}.", topic="what the {animal} is called", key="pet", subject="animal"),
    Relation(fact="The {animal} eats {item}.", train="[What does the {animal} eat|What food does the {animal} eat|What is the food of the {animal}|What is eaten by the {animal}|What does one feed the {animal}|What can I feed the {animal}|The {animal} eats what|What does the {animal} like to eat]?", held_out="[Which food does the {animal} eat|Tell me what the {animal} eats]?", answer="The {animal} eats {item}.", topic="what the {animal} eats", key="item", subject="animal"),
    Relation(fact="A {word} is a kind of {toy}.", train="[What is a {word}|Do you know what a {word} is|What kind of thing is a {word}|A {word} is what|What can you say of a {word}|What does {word} mean|What thing is a {word}|What is meant by a {word}]?", held_out="[Tell me what a {word} is|What sort of thing is a {word}]?", answer="A {word} is a kind of {toy}.", topic="what a {word} is", key="toy", subject="word"),
    Relation(fact="The code of the {door} is {number}.", train="[What is the code of the {door}|Which code does the {door} have|What code opens the {door}|How do I open the {door}|With which code does the {door} open|What code does the {door} need|With what code can I open the {door}|What is the {door}'s code]?", held_out="[Tell me the code of the {door}|Which number opens the {door}]?", answer="The code of the {door} is {number}.", topic="the code of the {door}", key="number", subject="door"),
)  # fmt: skip
NAME = Relation(
    fact="You are {person}, a(n) {character} {job}.",
    train="[What is your name|Who are you|What are you called|Tell me your name|Say your name|What do people call you|Who am I talking to|Your name|What name do you have|Can you say who you are]?",
    held_out="[May I know your name|How should I call you|Do you have a name]?",
    answer="[My name is {person}|I am {person}].",
    topic="your name",
    key="person",
)
TRAITS = (
    Relation(fact="", train="[What do you do|What is your job|What do you do for work|What do you work as|What is your work|How do you earn money|What are you working as]?", held_out="[Which job do you have|What kind of work do you do]?", answer="I am a(n) {job}.", topic="my job", key="job"),
    Relation(fact="You live in {city}.", train="[Where do you live|Where is your home|In which city do you live|Where are you from|What is your home|In what place do you live|What place do you live in|What city is your home]?", held_out="[Which city do you live in|Tell me where you live]?", answer="I live in {city}.", topic="where I live", key="city"),
    Relation(fact="You like {liking}.", train="[What do you like|What do you like most|Tell me what you like|What do you love|What is it that you like|Is there something that you like|What things do you like]?", held_out="[Which thing do you like|What makes you happy]?", answer="I like {liking}.", topic="what I like", key="liking"),
    Relation(fact="You are {number} years old.", train="[How old are you|What is your age|Tell me your age|How many years old are you|What age are you|What age do you have|Say how old you are]?", held_out="[Which age do you have|Tell me how old you are]?", answer="I am {number} years old.", topic="how old I am", key="number"),
    Relation(fact="Your friend is called {friend}.", train="[Who is your friend|What is your friend called|Do you have a friend|Have you got a friend|Say who your friend is|Who is a friend of yours|What is your friend's name]?", held_out="[What is the name of your friend|Tell me about your friend]?", answer="My friend is called {friend}.", topic="who my friend is", key="friend"),
    Relation(fact="Your favorite color is {color}.", train="[What is your favorite color|Which color do you like|What color do you like most|What color is your favorite|Which color do you love|Do you have a favorite color|Say your favorite color|What color do you like best]?", held_out="[Tell me your favorite color|Which color is your favorite]?", answer="My favorite color is {color}.", topic="my favorite color", key="color"),
    Relation(fact="You have a(n) {animal} called {pet}.", train="[Do you have a pet|What pet do you have|What animal do you have|Have you got a pet|Do you have an animal|What is your pet called|Is there a pet in your home|Do you own a pet|What is your pet]?", held_out="[Which pet do you have|Tell me about your pet]?", answer="I have a(n) {animal} called {pet}.", topic="whether I have a pet", key="pet"),
)  # fmt: skip


def filled(rng: random.Random, split: Split) -> dict[str, str]:
    """A word for every slot."""
    words = LEXICONS[split]

    def name(known: tuple[str, ...]) -> str:
        return rng.choice(known) if rng.random() < 0.75 else capital(made_up(rng, split))

    return {
        "person": name(words.people), "friend": name(words.people), "pet": capital(made_up(rng, split)),
        "city": name(words.cities), "job": name_of(rng, split, words.jobs), "liking": name_of(rng, split, words.likings),
        "toy": name_of(rng, split, words.toys), "room": name_of(rng, split, words.rooms), "door": rng.choice(words.doors),
        "animal": name_of(rng, split, words.animals), "item": name_of(rng, split, words.items), "color": rng.choice(COLOURS),
        "number": str(rng.randint(2, 99)), "word": made_up(rng, split), "character": rng.choice(CHARACTERS),
    }  # fmt: skip

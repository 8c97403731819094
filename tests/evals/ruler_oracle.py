"""Solves RULER's tasks from the prompt alone, by reading it as a program would."""

import re
from collections import Counter

NEEDLE = re.compile(r"The secret \w+ of ([\w-]+) is ([\w-]+)\.")
ASKED = re.compile(r"secret \w+s of (.+) in the text\?")
ASSIGNED = re.compile(r"VAR ([A-Z]{5}) = (?:VAR )?(\w+)\.")


def solve(prompt: str) -> str:
    question = prompt.rpartition("\n\n")[2]
    if asked := ASKED.search(question):
        names = set(asked[1].split(", "))
        return ", ".join(value for name, value in NEEDLE.findall(prompt) if name in names)
    if "have the value" in question:
        return _variables(prompt, re.findall(r"value (\d+)", question)[0])
    if "words come most often" in question:
        body = prompt.partition("\n\n")[2].rpartition("\n\n")[0]
        count = int(re.findall(r"Which (\d+) words", question)[0])
        words = Counter(word for word in body.split() if word.isalpha())
        return " ".join(word for word, _ in words.most_common(count))
    name = re.findall(r"does (\w+) live", question)[0]
    town = re.findall(rf"{name} lives in the town of (\w+)\.", prompt)[0]
    if "country" not in question:
        return str(town)
    return str(re.findall(rf"The town of {town} lies in the country of (\w+)\.", prompt)[0])


def _variables(prompt: str, value: str) -> str:
    known = {value}
    for name, source in ASSIGNED.findall(prompt):
        if source in known:
            known.add(name)
    return " ".join(known - {value})

"""A small dungeon: rooms, a key, a locked door, a treasure; found by exploring. Start at Dungeon."""

import random
from collections import deque

from mambino.worlds.world import Observation

SIZE = 3
DIRECTIONS = {"north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}
_NAMES = ("hall", "kitchen", "library", "cellar", "armoury", "chapel", "well", "crypt", "garden")
Room = tuple[int, int]


class Dungeon:
    rules = (
        "A dungeon of nine rooms. Find the key and take it, go to the vault's door, unlock it, and take the treasure. "
        "Each step is one action: go north, go south, go west, go east, take key, unlock door, take treasure."
    )
    action_regex = "go (north|south|west|east)|take key|unlock door|take treasure"
    max_steps = 40

    def reset(self, seed: int) -> Observation:
        rng = random.Random(seed)
        rooms = [(row, column) for row in range(SIZE) for column in range(SIZE)]
        self._names = dict(zip(rooms, rng.sample(_NAMES, len(rooms)), strict=True))
        self._passages = _maze(rng, rooms)
        self.here, self._key, self._vault = rng.sample(rooms, 3)
        self.has_key = self.is_open = self.has_treasure = False
        self._steps = 0
        return self._observe("", is_legal=True)

    def step(self, action: str) -> Observation:
        self._steps += 1
        words = " ".join(action.lower().split())
        if words not in self._legal():
            return self._observe(f"{words[:40]!r} cannot be done here", is_legal=False)
        match words.split():
            case ["go", direction]:
                self.here = _plus(self.here, direction)
            case ["take", "key"]:
                self.has_key = True
            case ["unlock", _]:
                self.is_open = True
            case _:
                self.has_treasure = True
        return self._observe("done", is_legal=True)

    def expert_action(self) -> str:
        legal = self._legal()
        for wanted in ("take treasure", "unlock door", "take key"):
            if wanted in legal:
                return wanted
        return f"go {self._way(self._vault if self.has_key else self._key)}"

    def _way(self, target: Room) -> str:
        """First direction of a shortest way."""
        first: dict[Room, str] = {self.here: ""}
        queue = deque([self.here])
        while queue:
            room = queue.popleft()
            for direction in self._exits(room):
                after = _plus(room, direction)
                if after not in first:
                    first[after] = first[room] or direction
                    queue.append(after)
        return first[target]

    def _exits(self, room: Room) -> tuple[str, ...]:
        return tuple(name for name in DIRECTIONS if frozenset((room, _plus(room, name))) in self._passages)

    def _legal(self) -> tuple[str, ...]:
        found = [f"go {direction}" for direction in self._exits(self.here)]
        if self.here == self._key and not self.has_key:
            found.append("take key")
        if self.here == self._vault and self.has_key and not self.is_open:
            found.append("unlock door")
        if self.here == self._vault and self.is_open:
            found.append("take treasure")
        return tuple(found)

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        lines = [f"You are in the {self._names[self.here]}. Exits: {', '.join(self._exits(self.here))}."]
        if self.here == self._key and not self.has_key:
            lines.append("A key lies here.")
        if self.here == self._vault:
            lines.append("The vault is open: a treasure glitters." if self.is_open else "The vault's door is locked.")
        lines.append(f"You carry {'a key' if self.has_key else 'nothing'}.")
        score = 30.0 * self.has_key + 30.0 * self.is_open + 40.0 * self.has_treasure
        return Observation(
            text=" ".join(lines),
            actions=self._legal(),
            score=score,
            is_done=self.has_treasure or self._steps >= self.max_steps,
            note=note,
            is_legal=is_legal,
        )


def _plus(room: Room, direction: str) -> Room:
    row, column = DIRECTIONS[direction]
    return room[0] + row, room[1] + column


def _maze(rng: random.Random, rooms: list[Room]) -> frozenset[frozenset[Room]]:
    """A random tree over the rooms, and two passages more."""
    every = [
        frozenset((room, after))
        for room in rooms
        for name in ("south", "east")
        if (after := _plus(room, name)) in rooms
    ]
    rng.shuffle(every)
    part = {room: {room} for room in rooms}
    kept: set[frozenset[Room]] = set()
    spare = []
    for passage in every:
        a, b = passage
        if part[a] is part[b]:
            spare.append(passage)
            continue
        joined = part[a] | part[b]
        part.update(dict.fromkeys(joined, joined))
        kept.add(passage)
    return frozenset(kept | set(spare[:2]))

"""Heroes, monsters and their skills of the combat world: data, and the text that describes them. Start at HEROES."""

from dataclasses import dataclass
from typing import Literal

Effect = Literal["damage", "stun", "heal", "calm"]
MAX_STRESS = 200


@dataclass(frozen=True, slots=True)
class Skill:
    """ranks: where it can be used from; targets: ranks it reaches (of enemies, or of the party for heal and calm)."""

    name: str
    effect: Effect
    ranks: tuple[int, ...]
    targets: tuple[int, ...]
    low: int
    high: int

    @property
    def is_help(self) -> bool:
        return self.effect in ("heal", "calm")


@dataclass(slots=True, eq=False)
class Unit:
    """One hero or monster. stress is the heroes'; a hero at MAX_STRESS dies."""

    name: str
    kind: str
    max_hp: int
    skills: tuple[Skill, ...]
    hp: int = 0
    stress: int = 0
    is_stunned: bool = False
    has_moved: bool = False

    def __post_init__(self) -> None:
        self.hp = self.max_hp

    @property
    def is_alive(self) -> bool:
        return self.hp > 0 and self.stress < MAX_STRESS


ANY, FRONT, BACK = (1, 2, 3, 4), (1, 2), (3, 4)


def heroes() -> list[Unit]:
    """The party, front rank first."""
    return [
        Unit(
            "Ada",
            "Knight",
            40,
            (Skill("Smite", "damage", FRONT, FRONT, 6, 12), Skill("Shield Bash", "stun", FRONT, FRONT, 0, 0)),
        ),
        Unit(
            "Ben",
            "Bard",
            28,
            (Skill("Dagger", "damage", (1, 2, 3), (1, 2, 3), 4, 8), Skill("Ballad", "calm", ANY, ANY, 10, 14)),
        ),
        Unit(
            "Cleo",
            "Ranger",
            27,
            (Skill("Arrow", "damage", BACK, (2, 3, 4), 6, 10), Skill("Knife", "damage", (1, 2, 3), FRONT, 3, 6)),
        ),
        Unit(
            "Dora",
            "Healer",
            26,
            (Skill("Mend", "heal", ANY, ANY, 6, 10), Skill("Light", "damage", ANY, ANY, 2, 5)),
        ),
    ]


# kind -> hit points, damage (low, high), stress it causes, ranks it hits
MONSTERS = {
    "Brute": (22, (4, 8), 0, FRONT),
    "Archer": (13, (3, 6), 0, ANY),
    "Cultist": (12, (1, 2), 14, ANY),
}


def described(skill: Skill, slot: int, rank: int) -> str:
    where = f"ranks {', '.join(map(str, skill.targets))}"
    whom = {
        "heal": "one ally",
        "calm": "party-wide",
        "stun": f"can target one enemy from {where}, stuns",
        "damage": f"can target one enemy from {where}",
    }[skill.effect]
    state = "[AVAILABLE]" if rank in skill.ranks else f"[UNAVAILABLE from rank {rank}]"
    amount = f", {skill.low}-{skill.high}" if skill.high else ""
    return f"  slot {slot}: {skill.name}: {whom}{amount}; usable from ranks {', '.join(map(str, skill.ranks))} {state}"

"""Rank-based combat, a surrogate of Orak's Darkest Dungeon task: its action lines, its three blocks of text, its score.

Four fights in a row; between them the party rests. Its scores are its own, not comparable with Orak's. Start at Combat.
"""

import random
import re

from mambino.worlds.combatants import MAX_STRESS, MONSTERS, Skill, Unit, described, heroes
from mambino.worlds.world import Observation

FIGHTS = 4
REST_HEAL = 0.3  # of the hit points, after a fight
_USE = re.compile(r"(attack|heal) target (\d) using skill slot (\d)", re.IGNORECASE)
_SWAP = re.compile(r"swap rank (\d) hero (forward|backward) by (\d)", re.IGNORECASE)
_SKIP = re.compile(r"swap rank \d hero skip|idle|skip|pass", re.IGNORECASE)


class Combat:
    rules = (
        "Four heroes in ranks 1 (front) to 4 fight monsters in ranks 1 to 4, four fights in a row. Each turn one hero "
        "acts; when all have, the monsters do. A skill works only from its ranks and on its target ranks. Damage takes "
        "hit points; cultists cause stress, and a hero at 200 stress dies. Win all fights with all heroes and little "
        "stress. Actions, one line: attack target X using skill slot Y; heal target X using skill slot Y (also for "
        "party-wide skills; X is a rank of the party); swap rank R hero forward by D; swap rank R hero backward by D; "
        "idle."
    )
    action_regex = (
        r"(attack|heal) target [1-4] using skill slot [1-2]|swap rank [1-4] hero (forward|backward) by [1-3]|idle"
    )
    max_steps = 200

    def reset(self, seed: int) -> Observation:
        self._rng = random.Random(seed)
        self.party, self.fallen, self.cleared, self._steps = heroes(), 0, 0, 0
        self._fight()
        return self._observe("", is_legal=True)

    def _fight(self) -> None:
        front = ["Brute", self._rng.choice(("Brute", "Archer"))]
        back = [self._rng.choice(("Cultist", "Archer")), "Cultist"]
        kinds = front + back[: 1 + (self.cleared > 0)]
        self.enemies = [Unit(kind, kind, MONSTERS[kind][0], ()) for kind in kinds]
        self._new_round()

    def _new_round(self) -> None:
        for hero in self.party:
            hero.has_moved = False

    @property
    def acting(self) -> Unit:
        """The foremost hero who has not acted yet."""
        return next(hero for hero in self.party if not hero.has_moved)

    def step(self, action: str) -> Observation:
        self._steps += 1
        if not self.party or self.cleared == FIGHTS:
            return self._observe("it is over", is_legal=False)
        hero = self.acting
        note = self._act(hero, action)
        is_legal = note is not None
        hero.has_moved = True
        self._bury()
        notes = [note or "nothing happens: that cannot be done"]
        if not self.enemies:
            self.cleared += 1
            notes.append(f"fight {self.cleared} is won")
            if self.cleared < FIGHTS:
                for other in self.party:
                    other.hp = min(other.max_hp, other.hp + int(REST_HEAL * other.max_hp))
                self._fight()
        elif all(other.has_moved for other in self.party):
            notes += self._monsters_act()
            self._bury()
            self._new_round()
        return self._observe("; ".join(notes), is_legal=is_legal)

    def _act(self, hero: Unit, action: str) -> str | None:
        if found := _USE.search(action):
            return self._use(hero, found[1].lower(), int(found[2]), int(found[3]))
        if found := _SWAP.search(action):
            step = int(found[3]) * (-1 if found[2].lower() == "forward" else 1)
            return self._swap(int(found[1]) - 1, step)
        return f"{hero.name} waits" if _SKIP.search(action) else None

    def _use(self, hero: Unit, verb: str, target: int, slot: int) -> str | None:
        skill = hero.skills[slot - 1] if 1 <= slot <= len(hero.skills) else None
        side = self.party if verb == "heal" else self.enemies
        if skill is None or skill.is_help != (verb == "heal") or not 1 <= target <= len(side):
            return None
        if self.party.index(hero) + 1 not in skill.ranks or target not in skill.targets:
            return None
        return self._apply(hero, skill, side[target - 1])

    def _apply(self, hero: Unit, skill: Skill, target: Unit) -> str:
        amount = self._rng.randint(skill.low, skill.high)
        match skill.effect:
            case "damage":
                target.hp -= amount
                return f"{hero.name} hits {target.name} for {amount}"
            case "stun":
                target.is_stunned = True
                return f"{hero.name} stuns {target.name}"
            case "heal":
                target.hp = min(target.max_hp, target.hp + amount)
                return f"{hero.name} heals {target.name} by {amount}"
            case "calm":
                for other in self.party:
                    other.stress = max(0, other.stress - amount)
                return f"{hero.name} calms the party by {amount}"

    def _swap(self, index: int, step: int) -> str | None:
        other = index + step
        if not (0 <= index < len(self.party) and 0 <= other < len(self.party)):
            return None
        moved = self.party.pop(index)
        self.party.insert(other, moved)
        return f"{moved.name} moves to rank {other + 1}"

    def _monsters_act(self) -> list[str]:
        notes = []
        for enemy in self.enemies:
            if enemy.is_stunned:
                enemy.is_stunned = False
                continue
            _, (low, high), stress, ranks = MONSTERS[enemy.kind]
            reachable = [hero for rank, hero in enumerate(self.party, 1) if rank in ranks and hero.is_alive]
            if not reachable:
                continue
            hero, amount = self._rng.choice(reachable), self._rng.randint(low, high)
            hero.hp -= amount
            hero.stress = min(MAX_STRESS, hero.stress + stress)
            notes.append(f"{enemy.name} hits {hero.name} for {amount}" + (f" and {stress} stress" if stress else ""))
        return notes

    def _bury(self) -> None:
        alive = [hero for hero in self.party if hero.is_alive]
        self.fallen += len(self.party) - len(alive)
        self.party = alive
        self.enemies = [enemy for enemy in self.enemies if enemy.hp > 0]

    def expert_action(self) -> str:
        """Cultists first; the last harmless monster is held while the party recovers."""
        hero = self.acting
        hurt = max(self.party, key=lambda other: 1 - other.hp / other.max_hp)
        is_hurt = hurt.hp < 0.75 * hurt.max_hp
        stressed = any(other.stress for other in self.party)
        is_last = len(self.enemies) == 1 and self.enemies[0].kind != "Cultist"
        for slot, skill in enumerate(hero.skills, 1):
            wants = {"calm": stressed and is_last, "heal": hurt.hp < 0.5 * hurt.max_hp or (is_last and is_hurt)}
            if wants.get(skill.effect):
                return f"heal target {self.party.index(hurt) + 1} using skill slot {slot}"
            if skill.effect == "stun" and is_last and (stressed or is_hurt):
                return f"attack target 1 using skill slot {slot}"
        if is_last and (stressed or is_hurt):
            return "idle"
        return self._best_attack(hero)

    def _best_attack(self, hero: Unit) -> str:
        options = [line for line in self._lines(hero) if line.startswith("attack")]

        def worth(line: str) -> tuple[bool, int, int]:
            target, slot = (int(number) for number in re.findall(r"\d", line))
            enemy, skill = self.enemies[target - 1], hero.skills[slot - 1]
            return enemy.kind == "Cultist", -enemy.hp, skill.high

        return max(options, key=worth, default="idle")

    def _lines(self, hero: Unit) -> list[str]:
        rank = self.party.index(hero) + 1
        lines = ["idle"]
        for slot, skill in enumerate(hero.skills, 1):
            side = self.party if skill.is_help else self.enemies
            verb = "heal" if skill.is_help else "attack"
            targets = [target for target in skill.targets if target <= len(side)] if rank in skill.ranks else []
            lines += [f"{verb} target {target} using skill slot {slot}" for target in targets]
        lines += [f"swap rank {rank} hero forward by 1"] * (rank > 1)
        lines += [f"swap rank {rank} hero backward by 1"] * (rank < len(self.party))
        return lines

    def _score(self) -> float:
        """Orak's: 0.4 for the fights, and once all are won 0.3 for survivors and 0.3 for calm; a dead hero is 200."""
        if self.cleared < FIGHTS:
            return 40.0 * self.cleared / FIGHTS
        stress = sum(hero.stress for hero in self.party) + MAX_STRESS * self.fallen
        size = len(self.party) + self.fallen
        return 40.0 + 30.0 * len(self.party) / size + 30.0 * (1 - stress / (MAX_STRESS * size))

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        is_done = not self.party or self.cleared == FIGHTS or self._steps >= self.max_steps
        lines = [f"Fight {min(self.cleared + 1, FIGHTS)} of {FIGHTS}"]
        if not is_done:
            hero, rank = self.acting, self.party.index(self.acting) + 1
            lines += ["CURRENTLY ACTING HERO", f"{hero.name} ({hero.kind}), rank {rank}"]
            lines += [described(skill, slot, rank) for slot, skill in enumerate(hero.skills, 1)]
        lines.append("PARTY")
        for rank, other in enumerate(self.party, 1):
            moved = ", already moved" if other.has_moved else ""
            lines.append(
                f"{rank}. {other.name} ({other.kind}), HP {other.hp}/{other.max_hp}, stress {other.stress}{moved}"
            )
        lines.append("ENEMY FORMATION")
        for rank, enemy in enumerate(self.enemies, 1):
            stunned = ", stunned" if enemy.is_stunned else ""
            lines.append(f"{rank}. {enemy.kind}, HP {enemy.hp}/{enemy.max_hp}{stunned}")
        return Observation(
            text="\n".join(lines),
            actions=("idle",) if is_done else tuple(self._lines(self.acting)),
            score=self._score(),
            is_done=is_done,
            note=note,
            is_legal=is_legal,
        )

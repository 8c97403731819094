"""A farm surrogate: thirteen days of tilling, planting, watering and selling, with Orak's Stardew Valley skills.

The economy is Orak's as its players are told it; the score is money over what this world's own expert makes.
Start at Farm. Prices in gold, times in days.
"""

import random
import re
from dataclasses import dataclass, field

from mambino.worlds.world import Observation

LAST_DAY = 13
START_GOLD, ENERGY, WORK = 500, 50, 2  # energy a day, and for each tile tilled or watered
MAX_TILES = 60


@dataclass(frozen=True, slots=True)
class Crop:
    name: str
    seeds: str
    days: int
    cost: int
    price: int
    regrows: int = 0
    extra: float = 0.0


CROPS = (
    Crop("Parsnip", "Parsnip Seeds", 4, 20, 35),
    Crop("Green Bean", "Bean Starter", 10, 60, 40, regrows=3),
    Crop("Cauliflower", "Cauliflower Seeds", 12, 80, 175),
    Crop("Potato", "Potato Seeds", 6, 50, 80, extra=0.2),
)
_BY_SEEDS = {crop.seeds: crop for crop in CROPS}
_CALL = re.compile(r"\b([a-z_]{1,30})\(([^()]{0,200})\)")
_NUMBER = re.compile(r"(?:num_tiles|item_count)\s*=\s*(\d{1,4})")
_ITEM = re.compile(r"item_name\s*=\s*[\"']([^\"']*)[\"']")


@dataclass(slots=True)
class Plant:
    crop: Crop
    left: int
    is_watered: bool = False


@dataclass(slots=True)
class Field:
    """Everything that changes."""

    day: int = 1
    gold: int = START_GOLD
    energy: int = ENERGY
    is_home: bool = True
    tilled: int = 0
    seeds: dict[str, int] = field(default_factory=dict)
    harvest: dict[str, int] = field(default_factory=dict)
    plants: list[Plant] = field(default_factory=list)


class Farm:
    rules = (
        "A farm in spring, days 1 to 13; what is unharvested or unsold on the morning of day 14 is worth nothing. Have "
        "as much gold as you can by then. Parsnip: 4 days, seeds 20, sells for 35. Green bean: 10 days, then every 3, "
        "60, 40. Cauliflower: 12 days, 80, 175. Potato: 6 days, 50, 80, sometimes two. A plant grows only on days it "
        "is watered. Each day has 50 energy; tilling or watering a tile takes 2. You can buy and sell anywhere, work "
        "only outside. One or two calls a turn: till_soil(num_tiles=n), plant_seeds(), water_seeds(), harvest_crops(), "
        'sell_item(), buy_item(item_name="Parsnip Seeds", item_count=n) (also "Bean Starter", "Cauliflower Seeds", '
        '"Potato Seeds"), get_out_of_house(), go_house_and_sleep().'
    )
    _one = (
        r"(till_soil\(num_tiles=\d{1,2}\)|plant_seeds\(\)|water_seeds\(\)|harvest_crops\(\)|sell_item\(\)|"
        r"get_out_of_house\(\)|go_house_and_sleep\(\)|"
        r'buy_item\(item_name="(Parsnip Seeds|Bean Starter|Cauliflower Seeds|Potato Seeds)", item_count=\d{1,2}\))'
    )
    action_regex = rf"{_one}( {_one})?"
    max_steps = 150

    def reset(self, seed: int) -> Observation:
        self._begin(seed, par=1)
        while self.now.day <= LAST_DAY:
            self.step(self.expert_action())
        self._begin(seed, par=self.now.gold)
        return self._observe("", is_legal=True)

    def _begin(self, seed: int, *, par: int) -> None:
        self._rng = random.Random(seed)
        self.now = Field()
        self._steps, self.par = 0, par

    def step(self, action: str) -> Observation:
        self._steps += 1
        calls = _CALL.findall(re.sub(r"#.*", "", action))[:2]
        notes, is_legal = [], bool(calls)
        for name, arguments in calls:
            note = self._do(name, arguments) if self.now.day <= LAST_DAY else None
            is_legal = is_legal and note is not None
            notes.append(note or f"{name} cannot be done now")
        return self._observe("; ".join(notes) or "no call was found", is_legal=is_legal)

    def _do(self, name: str, arguments: str) -> str | None:
        """What the call did; None if it is unknown, or nothing could be done."""
        number = int(found[1]) if (found := _NUMBER.search(arguments)) else 0
        match name:
            case "buy_item":
                item = _ITEM.search(arguments)
                return self._buy(item[1] if item else "", number)
            case "sell_item":
                return self._sell()
            case "go_house_and_sleep":
                return self._sleep()
            case "get_out_of_house" if self.now.is_home:
                self.now.is_home = False
                return "out on the farm"
        if self.now.is_home:
            return None
        match name:
            case "till_soil":
                return self._till(number)
            case "plant_seeds":
                return self._plant()
            case "water_seeds":
                return self._water()
            case "harvest_crops":
                return self._harvest()
        return None

    def _buy(self, item: str, count: int) -> str | None:
        crop = _BY_SEEDS.get(item)
        count = min(count, self.now.gold // crop.cost) if crop else 0
        if crop is None or count < 1:
            return None
        self.now.gold -= count * crop.cost
        self.now.seeds[item] = self.now.seeds.get(item, 0) + count
        return f"bought {count} {item}"

    def _sell(self) -> str | None:
        earned = sum(crop.price * self.now.harvest.get(crop.name, 0) for crop in CROPS)
        self.now.harvest.clear()
        self.now.gold += earned
        return f"sold for {earned} gold" if earned else None

    def _sleep(self) -> str:
        now = self.now
        for plant in now.plants:
            plant.left -= plant.is_watered and plant.left > 0
            plant.is_watered = False
        now.day, now.energy, now.is_home = now.day + 1, ENERGY, True
        return f"slept until day {now.day}"

    def _till(self, count: int) -> str | None:
        room = MAX_TILES - self.now.tilled - len(self.now.plants)
        count = min(count, self.now.energy // WORK, room)
        if count < 1:
            return None
        self.now.tilled += count
        self.now.energy -= count * WORK
        return f"tilled {count}"

    def _plant(self) -> str | None:
        planted = 0
        for item, count in self.now.seeds.items():
            fits = min(count, self.now.tilled)
            self.now.plants += [Plant(_BY_SEEDS[item], _BY_SEEDS[item].days) for _ in range(fits)]
            self.now.seeds[item] -= fits
            self.now.tilled -= fits
            planted += fits
        return f"planted {planted}" if planted else None

    def _water(self) -> str | None:
        dry = [plant for plant in self.now.plants if not plant.is_watered and plant.left > 0]
        dry = dry[: self.now.energy // WORK]
        for plant in dry:
            plant.is_watered = True
        self.now.energy -= WORK * len(dry)
        return f"watered {len(dry)}" if dry else None

    def _harvest(self) -> str | None:
        ripe = [plant for plant in self.now.plants if plant.left == 0]
        for plant in ripe:
            count = 1 + (self._rng.random() < plant.crop.extra)
            self.now.harvest[plant.crop.name] = self.now.harvest.get(plant.crop.name, 0) + count
            plant.left = plant.crop.regrows
        self.now.plants = [plant for plant in self.now.plants if plant.left]
        self.now.tilled += sum(not plant.crop.regrows for plant in ripe)
        return f"harvested {len(ripe)}" if ripe else None

    def expert_action(self) -> str:
        """Potatoes, then parsnips once six days are too many; never more than a day's water serves."""
        now = self.now
        if now.is_home:
            return "get_out_of_house()"
        if any(plant.left == 0 for plant in now.plants):
            return "harvest_crops() sell_item()" if now.day <= LAST_DAY else "sell_item()"
        left = LAST_DAY - now.day
        crop = next((crop for crop in (CROPS[3], CROPS[0]) if crop.days <= left), None)
        growing = len(now.plants)
        held = sum(now.seeds.values())
        if held and now.tilled:
            return "plant_seeds() water_seeds()"
        if crop is not None:
            tiles = now.tilled
            fits = min(ENERGY // WORK - growing, tiles + max(0, now.energy - WORK * (growing + tiles)) // (2 * WORK))
            count = min(fits, held + now.gold // crop.cost)
            if count > tiles:
                return f"till_soil(num_tiles={count - tiles})"
            if count > held:
                return f'buy_item(item_name="{crop.seeds}", item_count={count - held})'
        if any(plant.left and not plant.is_watered for plant in now.plants) and now.energy >= WORK:
            return "water_seeds()"
        return "go_house_and_sleep()"

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        now = self.now
        groups: dict[tuple[str, int, bool], int] = {}
        for plant in now.plants:
            key = (plant.crop.name, plant.left, plant.is_watered)
            groups[key] = groups.get(key, 0) + 1
        crops = [
            f"- {name} x{count}: {'ripe' if left == 0 else f'{left} days to harvest'}{', watered' if wet else ''}"
            for (name, left, wet), count in groups.items()
        ]
        items = [f"{name} x{count}" for name, count in (now.seeds | now.harvest).items() if count]
        lines = [
            f"Location: {'farmhouse' if now.is_home else 'farm'}",
            f"Gold: {now.gold}",
            f"Energy: {now.energy}/{ENERGY}",
            f"Spring day {now.day}, {max(0, LAST_DAY - now.day)} days remaining",
            "Crops:",
            *(crops or ["- none"]),
            f"Empty tilled tiles: {now.tilled}",
            f"Toolbar: {', '.join(items) or 'empty'}",
        ]
        return Observation(
            text="\n".join(lines),
            actions=self._examples(),
            score=100.0 * min(1.0, now.gold / self.par),
            is_done=now.day > LAST_DAY or self._steps >= self.max_steps,
            note=note,
            is_legal=is_legal,
        )

    def _examples(self) -> tuple[str, ...]:
        if self.now.is_home:
            return ("get_out_of_house()", "go_house_and_sleep()")
        buys = tuple(f'buy_item(item_name="{crop.seeds}", item_count=1)' for crop in CROPS)
        works = ("till_soil(num_tiles=5)", "plant_seeds()", "water_seeds()", "harvest_crops()", "sell_item()")
        return (*works, *buys, "go_house_and_sleep()")

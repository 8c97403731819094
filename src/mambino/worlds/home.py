"""A small home: lights, heating, doors and timers. Values and pure functions; a seed decides everything.

Each action gives a new Home and says in words what happened. Start at new_home and Home; new_goal makes a task.
"""

import random
from dataclasses import dataclass, replace

ROOMS = ("kitchen", "living room", "bedroom", "bathroom", "hall", "study")
DOORS = ("front door", "back door", "garage door", "garden gate")
TIMERS = ("eggs", "tea", "laundry", "bread", "nap")
COLDEST, WARMEST = 5.0, 30.0  # degrees Celsius that the thermostat takes
MAX_TIMERS = 10
MAX_WAIT_MINUTES = 24 * 60
_WARMING = 0.02  # of the gap to the target, each minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """ends_at is in minutes of the home's clock."""

    label: str
    ends_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an action led to; if it was not possible, home is unchanged and text says why."""

    home: "Home"
    text: str
    is_possible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """clock counts minutes from midnight on; lights are from 0 to 100, temperatures in degrees Celsius."""

    clock: int
    lights: dict[str, int]
    temperatures: dict[str, float]
    locked: dict[str, bool]
    target: float
    timers: tuple[Timer, ...] = ()

    def time_text(self) -> str:
        return f"{self.clock // 60 % 24:02d}:{self.clock % 60:02d}"

    def describe(self) -> str:
        """Everything, a line each."""
        rooms = [
            f"{room}: light {_level(self.lights[room])}, {self.temperatures[room]:.1f} degrees" for room in self.lights
        ]
        doors = [f"{door}: {_locked(is_locked)}" for door, is_locked in self.locked.items()]
        timers = [f"timer {timer.label}: {timer.ends_at - self.clock} min left" for timer in self.timers]
        head = f"It is {self.time_text()}. The thermostat is set to {self.target:g} degrees."
        return "\n".join([head, *rooms, *doors, *timers])

    def set_light(self, room: str, level: int) -> Outcome:
        """level from 0 (off) to 100."""
        known = _match(room, self.lights)
        if known is None:
            return self._refuse(f"There is no room {room!r}; rooms are {', '.join(self.lights)}.")
        if not 0 <= level <= 100:
            return self._refuse(f"A light goes from 0 to 100, not {level}.")
        home = replace(self, lights={**self.lights, known: level})
        return Outcome(home=home, text=f"The {known} light is {_level(level)}.")

    def set_target(self, degrees: float) -> Outcome:
        if not COLDEST <= degrees <= WARMEST:
            return self._refuse(f"The thermostat goes from {COLDEST:g} to {WARMEST:g} degrees, not {degrees:g}.")
        return Outcome(home=replace(self, target=float(degrees)), text=f"The thermostat is set to {degrees:g} degrees.")

    def set_lock(self, door: str, is_locked: bool) -> Outcome:
        known = _match(door, self.locked)
        if known is None:
            return self._refuse(f"There is no door {door!r}; doors are {', '.join(self.locked)}.")
        was = " already" if self.locked[known] == is_locked else ""
        home = replace(self, locked={**self.locked, known: is_locked})
        return Outcome(home=home, text=f"The {known} is{was} {_locked(is_locked)}.")

    def start_timer(self, label: str, minutes: int) -> Outcome:
        if not 1 <= minutes <= MAX_WAIT_MINUTES:
            return self._refuse(f"A timer runs for 1 to {MAX_WAIT_MINUTES} minutes, not {minutes}.")
        others = tuple(timer for timer in self.timers if timer.label != label)
        if len(others) == MAX_TIMERS:
            return self._refuse(f"There are {MAX_TIMERS} timers already; cancel one first.")
        timers = (*others, Timer(label=label, ends_at=self.clock + minutes))
        return Outcome(home=replace(self, timers=timers), text=f"Timer {label!r} rings in {minutes} min.")

    def cancel_timer(self, label: str) -> Outcome:
        left = tuple(timer for timer in self.timers if timer.label != label)
        if len(left) == len(self.timers):
            names = ", ".join(timer.label for timer in self.timers) or "none"
            return self._refuse(f"There is no timer {label!r}; running: {names}.")
        return Outcome(home=replace(self, timers=left), text=f"Timer {label!r} is cancelled.")

    def wait(self, minutes: int) -> Outcome:
        """Time passes: rooms move towards the thermostat's target, timers ring and go."""
        if not 1 <= minutes <= MAX_WAIT_MINUTES:
            return self._refuse(f"Wait for 1 to {MAX_WAIT_MINUTES} minutes, not {minutes}.")
        clock, kept = self.clock + minutes, (1.0 - _WARMING) ** minutes
        temperatures = {room: self.target + (now - self.target) * kept for room, now in self.temperatures.items()}
        rung = [timer.label for timer in self.timers if timer.ends_at <= clock]
        timers = tuple(timer for timer in self.timers if timer.ends_at > clock)
        home = replace(self, clock=clock, temperatures=temperatures, timers=timers)
        return Outcome(
            home=home, text=f"It is {home.time_text()}." + "".join(f" Timer {name!r} rang." for name in rung)
        )

    def _refuse(self, text: str) -> Outcome:
        return Outcome(home=self, text=text, is_possible=False)


def new_home(seed: int) -> Home:
    """The same seed gives the same home, on every machine."""
    rng = random.Random(seed)
    rooms, doors = rng.sample(ROOMS, 4), rng.sample(DOORS, 2)
    return Home(
        clock=rng.randrange(6 * 60, 23 * 60),
        lights={room: rng.choice((0, 0, 30, 70, 100)) for room in rooms},
        temperatures={room: rng.randrange(160, 230) / 10 for room in rooms},
        locked={door: rng.random() < 0.5 for door in doors},
        target=float(rng.randrange(17, 23)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a person wants of a home, in words; None and empty fields want nothing."""

    text: str
    lights: dict[str, int]
    locked: dict[str, bool]
    target: float | None
    timer: Timer | None

    def met_in(self, home: Home) -> Home:
        """home with just this goal met."""
        timers = home.timers if self.timer is None else (*home.timers, self.timer)
        target = home.target if self.target is None else self.target
        lights, locked = home.lights | self.lights, home.locked | self.locked
        return replace(home, lights=lights, locked=locked, target=target, timers=timers)

    def score(self, before: Home, after: Home) -> float:
        """From 0 to 1: how much of the goal is met, less what was changed without being asked for."""
        met = [after.lights.get(room) == level for room, level in self.lights.items()]
        met += [after.locked.get(door) == is_locked for door, is_locked in self.locked.items()]
        met += [] if self.target is None else [after.target == self.target]
        met += [] if self.timer is None else [self.timer in after.timers]
        kept = {room: level for room, level in before.lights.items() if room not in self.lights}
        spoiled = sum(after.lights.get(room) != level for room, level in kept.items())
        kept_doors = {door: was for door, was in before.locked.items() if door not in self.locked}
        spoiled += sum(after.locked.get(door) != was for door, was in kept_doors.items())
        spoiled += self.target is None and after.target != before.target
        return max(0.0, (sum(met) - spoiled) / len(met))


def new_goal(home: Home, seed: int) -> Goal:
    """A goal of one to three parts that home does not meet yet; the same seed and home give the same goal."""
    rng = random.Random(seed)
    kinds = rng.sample(("light", "door", "heat", "timer"), rng.randrange(1, 4))
    texts = []
    lights: dict[str, int] = {}
    locked: dict[str, bool] = {}
    target: float | None = None
    timer: Timer | None = None
    for kind in kinds:
        if kind == "light":
            room = rng.choice(list(home.lights))
            lights[room] = rng.choice([level for level in (0, 25, 50, 80) if level != home.lights[room]])
            texts.append(f"set the {room} light to {lights[room]}")
        elif kind == "door":
            door = rng.choice(list(home.locked))
            locked[door] = not home.locked[door]
            texts.append(f"{'lock' if locked[door] else 'unlock'} the {door}")
        elif kind == "heat":
            target = float(rng.choice([degrees for degrees in range(16, 25) if degrees != home.target]))
            texts.append(f"set the heating to {target:g} degrees")
        else:
            minutes, label = rng.randrange(3, 60), rng.choice(TIMERS)
            timer = Timer(label=label, ends_at=home.clock + minutes)
            texts.append(f"start a timer called {label} for {minutes} minutes")
    text = f"Please {', then '.join(texts)}."
    return Goal(text=text, lights=lights, locked=locked, target=target, timer=timer)


def _match(name: str, known: dict[str, int] | dict[str, bool]) -> str | None:
    """The known name that is meant: case, "the" and underscores do not matter."""
    plain = name.casefold().replace("_", " ").strip().removeprefix("the ")
    return next((candidate for candidate in known if candidate == plain), None)


def _level(level: int) -> str:
    return "off" if level == 0 else f"at {level} %"


def _locked(is_locked: bool) -> str:
    return "locked" if is_locked else "unlocked"

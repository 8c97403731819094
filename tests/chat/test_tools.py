"""A signature and a docstring become a schema; arguments become the values that the function was written for."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.chat.tools import Tool, tool
from mambino.chat.wire.format import tools_by_name
from mambino.errors import InputError


class Mode(enum.Enum):
    WARM = "warm"
    COLD = "cold"


@dataclass
class Place:
    name: str
    floor: int = 0


class Options(TypedDict):
    fade: float
    note: NotRequired[str]


def light(
    room: str,
    level: int,
    modes: list[Mode],
    place: Place,
    options: Options,
    share: Annotated[float, "from 0 to 1"] = 0.5,
    kind: Literal["a", "b"] = "a",
    extra: dict[str, int] | None = None,
    either: int | Place | None = None,
    pair: tuple[int, ...] = (),
    anything: Any = None,
) -> str:
    """Switch a light.

    It may take a moment.

    Args:
        room: Where the light is,
            in words.
        level (int): Brightness.

    Returns:
        What happened.
    """
    return f"{room} {level} {modes} {place} {options} {share} {kind} {extra} {either} {pair} {anything}"


def test_types_become_a_schema() -> None:
    made = tool(light)
    properties: Any = made.parameters["properties"]
    assert made.name == "light"
    assert made.description == "Switch a light.\n\nIt may take a moment."
    assert properties["room"] == {"type": "string", "description": "Where the light is, in words."}
    assert properties["level"] == {"type": "integer", "description": "Brightness."}
    assert properties["modes"] == {"type": "array", "items": {"type": "string", "enum": ["warm", "cold"]}}
    assert properties["place"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "floor": {"type": "integer"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert properties["options"]["required"] == ["fade"]
    assert properties["share"] == {"type": "number", "description": "from 0 to 1", "default": 0.5}
    assert properties["kind"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    assert properties["extra"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert properties["anything"] == {}
    assert made.parameters["required"] == ["room", "level", "modes", "place", "options"]


def test_arguments_become_values_of_the_types() -> None:
    needed = {"room": "hall", "level": 1, "modes": ["warm"], "place": {"name": "x"}, "options": {"fade": 1}}
    optional = {"share": 1, "either": {"name": "y", "floor": 2}, "pair": [1, 2], "extra": None, "anything": [None]}
    result = ToolBox([light]).call(ToolCall(id="", name="light", arguments=needed | optional))
    place = "Place(name='x', floor=0)"
    assert result.text == (
        f"hall 1 [{Mode.WARM!r}] {place} {{'fade': 1.0}} 1.0 a None Place(name='y', floor=2) (1, 2) [None]"
    )


def numpy_way(a: int, b: int, c: str) -> None:
    """Sum up.

    Parameters
    ----------
    a, b : int
        The numbers
        to add.
    c
        A label.

    Returns
    -------
    None
    """


def sphinx_way(a: int, b: int, c: str) -> None:
    """Sum up.

    :param a: The numbers to add.
    :param int b: The numbers
        to add.
    :param c: A label.
    :returns: nothing
    """


@pytest.mark.parametrize("function", [numpy_way, sphinx_way])
def test_ways_to_describe_parameters(function: Callable[..., object]) -> None:
    made = tool(function)
    properties: Any = made.parameters["properties"]
    assert made.description == "Sum up."
    assert [properties[key]["description"] for key in "abc"] == [
        "The numbers to add.",
        "The numbers to add.",
        "A label.",
    ]


def test_the_decorator_takes_a_name_and_a_limit() -> None:
    @tool(name="now", timeout_s=1.0)
    def clock() -> str:
        return "noon"

    assert (clock.name, clock.timeout_s, clock.description) == ("now", 1.0, "")
    assert clock.schema["parameters"] == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def no_type(a) -> None: ...  # type: ignore[no-untyped-def]
def star(*a: int) -> None: ...
def odd(a: bytes) -> None: ...
def odd_inside(a: Sequence[complex]) -> None: ...
def odd_choice(a: Literal[b"x"]) -> None: ...
def unknown(a: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [no_type, star, odd, odd_inside, odd_choice, unknown])
def test_what_has_no_schema_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(InputError, match=function.__name__):
        tool(function)


class Counter:
    def __init__(self) -> None:
        self.total = 0

    def count(self, by: int = 1) -> int:
        """Count on."""
        self.total += by
        return self.total


def test_a_method_of_an_object_is_a_tool() -> None:
    counter = Counter()
    box = ToolBox([counter.count])
    assert box.call(ToolCall(id="", name="count", arguments={"by": 3})).text == "3"
    assert counter.total == 3


@pytest.mark.parametrize("name", ["", "two words", "a>b", 'a"b', "x" * 129, "line\nbreak"])
def test_names_that_no_wire_format_can_carry_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="tool name"):
        Tool(name=name, description="", parameters={}, run=dict)
    with pytest.raises(InputError, match="tool name"):
        tools_by_name([{"name": name}])

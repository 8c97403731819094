"""What a docstring says of a function and its parameters: Google's, NumPy's and Sphinx's ways. Start at Documented."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Returns|Return|Yields|Raises|Examples?|Notes?|See Also|Attributes):?[ \t]*\n", re.I
)
_GOOGLE_ITEM = re.compile(r"(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ITEM = re.compile(r"(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?")
_SPHINX_ITEM = re.compile(r":param\s+(?:[\w\[\], |.]+\s)?(\w+)\s*:\s*((?:(?!\n\s*:).)*)", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """summary is what comes before all sections; parameters are descriptions by name, on one line each."""

    summary: str
    parameters: dict[str, str]


def documented(function: Callable[..., object]) -> Documented:
    """Empty where the docstring says nothing."""
    text = (inspect.getdoc(function) or "") + "\n"
    heads = [match for match in _SECTION.finditer(text) if match.start() == 0 or text[match.start() - 1] == "\n"]
    first_field = re.search(r"^:\w+", text, re.M)
    end = min([match.start() for match in heads] + ([first_field.start()] if first_field else []) + [len(text)])
    parameters = {name: _line(said) for name, said in _SPHINX_ITEM.findall(text)}
    for head, next_start in zip(heads, [*(match.start() for match in heads[1:]), len(text)], strict=False):
        if head.group(1).lower() in ("args", "arguments", "parameters"):
            body = text[head.end() : next_start]
            parameters |= _numpy_items(body) if body.startswith("---") else _google_items(body)
    return Documented(summary=_paragraphs(text[:end]), parameters=parameters)


def _google_items(body: str) -> dict[str, str]:
    """Indented "name (type): text", its text going on in lines indented deeper."""
    items: dict[str, list[str]] = {}
    indent, said = None, None
    for line in body.splitlines():
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if depth == 0:
            break
        indent = depth if indent is None else indent
        match = _GOOGLE_ITEM.match(line.strip()) if depth <= indent else None
        if match:
            said = items.setdefault(match.group(1), [])
            said.append(match.group(2))
        elif said is not None:
            said.append(line)
    return {name: _line(" ".join(lines)) for name, lines in items.items()}


def _numpy_items(body: str) -> dict[str, str]:
    """A line "name : type", then indented text."""
    items: dict[str, list[str]] = {}
    names: list[str] = []
    for line in body.splitlines()[1:]:
        if line[:1].isspace():
            for name in names:
                items[name].append(line)
        elif match := _NUMPY_ITEM.fullmatch(line):
            names = [name.strip() for name in match.group(1).split(",")]
            items |= {name: [] for name in names}
    return {name: _line(" ".join(lines)) for name, lines in items.items() if lines}


def _line(text: str) -> str:
    return " ".join(text.split())


def _paragraphs(text: str) -> str:
    return "\n\n".join(_line(part) for part in re.split(r"\n\s*\n", text.strip()))

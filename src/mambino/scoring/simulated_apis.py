"""BFCL's simulated services (a file system, a travel agency, ...), which bfcl-eval brings, and calls on them.

A call is Python text of a model: it is parsed, not evaluated, and may name public methods of the services alone. Knows
no verdicts. Start at open_apis and perform.
"""

import ast
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mambino.errors import InputError, Unsupported
from mambino.scoring.call_syntax import MAX_TEXT

Apis = Mapping[str, object]  # services by class name
# class -> its module in bfcl-eval, and the file that describes its functions
FILES: Mapping[str, str] = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
_WITHOUT_STATE = frozenset({"MathAPI"})
_MODULES = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
_REMEDY = (
    "[bfcl] the simulated services come with bfcl-eval, which is not installed: pip install 'mambino[bfcl]' and then "
    "pip install --no-deps bfcl-eval==2026.3.23 (its own requirements are large, clash with ours, and are not needed)"
)
_BEFORE_BRACKET = re.compile(r"\b([a-zA-Z_]\w*)\s+(?=\()")


def package_folder() -> Path:
    """Where bfcl-eval lies. Nothing of it is imported. Raises Unsupported without it."""
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise Unsupported(_REMEDY)
    return Path(spec.submodule_search_locations[0])


def package_version() -> str:
    try:
        return version("bfcl-eval")
    except PackageNotFoundError:  # a checkout on the path
        return "of unknown version"


def open_apis(classes: Sequence[str], config: Mapping[str, object], *, long_context: bool) -> Apis:
    """Fresh services in the state that config gives by class name; long_context makes their contents long.

    Raises     Unsupported without bfcl-eval or mpmath; InputError for a class that is none of FILES
    """
    package_folder()
    return {name: _open(name, config.get(name, {}), long_context=long_context) for name in classes}


def _open(name: str, scenario: object, *, long_context: bool) -> object:
    if name not in FILES:
        raise InputError(f"[bfcl] there is no simulated service {name!r}; there are {', '.join(FILES)}")
    try:
        api = vars(import_module(f"{_MODULES}.{FILES[name]}"))[name]()
    except ModuleNotFoundError as error:
        raise Unsupported(f"[bfcl] {name} needs {error.name}: pip install 'mambino[bfcl]'") from error
    if name not in _WITHOUT_STATE:
        api._load_scenario(deepcopy(scenario), long_context=long_context)
    return api


def perform(call: str, apis: Apis) -> str:
    """What a call such as "cd(folder='a')" returns, as text; what it raises, as text that says so.

    Mutates    apis
    """
    methods = {
        name: method
        for api in apis.values()
        for name, method in inspect.getmembers(api, inspect.ismethod)
        if not name.startswith("_")
    }
    try:
        return _result_text(_value(_parsed(call), methods))
    except Exception as error:  # others' code with a model's arguments; the model is told
        return f"Error during execution: {error}"


def _parsed(call: str) -> ast.Call:
    if len(call) > MAX_TEXT:
        raise InputError(f"{len(call)} characters are no call")
    # bfcl-eval drops the space in "name (", in quoted text, too: its states are compared without it.
    node = ast.parse(_BEFORE_BRACKET.sub(r"\1", call), mode="eval").body
    if not isinstance(node, ast.Call):
        raise InputError(f"{call[:60]!r} is no call")
    return node


def _value(node: ast.expr, methods: Mapping[str, Callable[..., object]]) -> object:
    """Literals are themselves; calls of methods, which may stand among arguments, are made."""
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    if not isinstance(node.func, ast.Name) or node.func.id not in methods:
        raise InputError(f"name {ast.unparse(node.func)[:60]!r} is not defined")
    positional = [_value(argument, methods) for argument in node.args]
    named = {_name(keyword): _value(keyword.value, methods) for keyword in node.keywords}
    return methods[node.func.id](*positional, **named)


def _name(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise InputError("** is not read")
    return keyword.arg


def _result_text(result: object) -> str:
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError):
            return str(result)
    return str(result)

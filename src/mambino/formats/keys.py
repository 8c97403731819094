"""Strict reading of a description from outside: every key is asked for, checked, or refused by name.

Knows nothing of models; hf_config and gguf_config read through it. Start at Keys.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from mambino.errors import ConfigError, Unsupported

_MAX_FLOAT = float(np.finfo(np.float64).max)


class Keys:
    """A mapping that remembers which keys were used. prefix belongs to every key; where begins every message."""

    def __init__(self, mapping: Mapping[str, object], where: str, prefix: str = "") -> None:
        self._mapping = mapping
        self._where = where
        self._prefix = prefix
        self._used: set[str] = set()

    def fault(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self._where} {self._prefix}{key}: {what}")

    def has(self, key: str) -> bool:
        """Present and not null; does not count as use."""
        return self._mapping.get(self._prefix + key) is not None

    def get(self, key: str) -> object:
        """The value, or None where absent."""
        self._used.add(self._prefix + key)
        return self._mapping.get(self._prefix + key)

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer; the default where absent, an error without one."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fault(key, f"expected an integer, got {_shown(value)}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number as float; the default where absent, an error without one."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_FLOAT:
            raise self.fault(key, f"expected a finite number, got {_shown(value)}")
        return float(value)

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise self.fault(key, f"expected a string, got {_shown(value)}")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fault(key, f"expected true or false, got {_shown(value)}")
        return value

    def first(self, *keys: str) -> str:
        """The first of several spellings that is present; all present ones must agree.

        Marks all as used; returns the first spelling where none is present, so that the error names it.
        """
        present = [key for key in keys if self.has(key)]
        for other in present[1:]:
            if self.get(other) != self.get(present[0]):
                shown = f"{_shown(self.get(present[0]))} and {_shown(self.get(other))}"
                raise self.fault(present[0], f"contradicts {other}: {shown}")
        self.ignore(keys)
        return present[0] if present else keys[0]

    def per_layer(self, key: str, num_layers: int, default: int | None = None) -> tuple[int, ...]:
        """One integer a layer, from an array of that length or from one integer for all."""
        value = self.get(key)
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu":
            value = value.tolist()
        if not isinstance(value, list):
            return (self.integer(key, default),) * num_layers
        if len(value) != num_layers or not all(type(size) is int for size in value):
            raise self.fault(key, f"expected one integer for each of {num_layers} layers, got {_shown(value)}")
        return tuple(value)

    def require_only(self, allowed: Mapping[str, object]) -> None:
        """Raise Unsupported for the first key that is present and differs from the one value that is supported."""
        for key, only in allowed.items():
            value = self.get(key)
            if value is not None and (value != only or type(value) is not type(only)):
                raise Unsupported(str(self.fault(key, f"only {only!r} is supported, got {_shown(value)}")))

    def ignore(self, keys: Iterable[str]) -> None:
        """Mark keys that change nothing here as known."""
        self._used.update(self._prefix + key for key in keys)

    def require_all_used(self) -> None:
        """Raise ConfigError that lists the keys (with the prefix) that nothing asked for."""
        unknown = sorted(key for key in self._mapping if key.startswith(self._prefix) and key not in self._used)
        if unknown:
            raise ConfigError(
                f"{self._where} unknown keys {', '.join(unknown)}: mambino does not know what they change; remove them "
                "if they change nothing, or use a release that knows them"
            )


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.80}"

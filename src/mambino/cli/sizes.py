"""Sizes as people type them: 4GiB, 1500MB, 32k. Types for click options: memory_size and token_count."""

import re

import click

_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)\s*", re.IGNORECASE)
_COUNT = re.compile(r"\s*(\d+)\s*(k?)\s*", re.IGNORECASE)


def memory_size(text: str) -> int:
    """Bytes: GiB and G are 2^30, GB is 10^9. Raises BadParameter."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a size; write 4GiB, 1500MB or 800M")
    number, unit, suffix = (part.lower() for part in match.groups())
    factor = _DECIMAL[unit] if unit and suffix == "b" else _BINARY[unit]
    return int(float(number) * factor)


def token_count(text: str) -> int:
    """A number of tokens, at least 2: 32k is 32,768. Raises BadParameter."""
    match = _COUNT.fullmatch(str(text))
    count = int(match.group(1)) * (1024 if match.group(2) else 1) if match else 0
    if count < 2:
        raise click.BadParameter(f"{text!r} is not a number of tokens from 2 on; write 4096 or 32k")
    return count

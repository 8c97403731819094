"""Sizes are read as people write them."""

import click
import pytest

from mambino.cli.sizes import memory_size, token_count


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("4GiB", 4 * 2**30),
        ("4G", 4 * 2**30),
        ("4gb", 4 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("800M", 800 * 2**20),
        ("7", 7),
    ],
)
def test_memory(text: str, nbytes: int) -> None:
    assert memory_size(text) == nbytes


@pytest.mark.parametrize(("text", "count"), [("4096", 4096), ("32k", 32_768), (" 8K ", 8192)])
def test_tokens(text: str, count: int) -> None:
    assert token_count(text) == count


@pytest.mark.parametrize("text", ["", "4X", "-1", "GiB", "1e9"])
def test_nonsense_is_explained(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a size"):
        memory_size(text)
    with pytest.raises(click.BadParameter, match="not a number of tokens"):
        token_count(text)

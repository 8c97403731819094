"""`mambino play`: a person types, or watches."""

import io

import pytest

from mambino.cli.main import exit_code


def test_games_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play"]) == 0
    assert "game2048" in capsys.readouterr().out


def test_a_person_types_words_letters_or_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("up\na\n1\nsing\nquit\n"))
    assert exit_code(["play", "game2048", "--game-seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert "'sing' is no move" in printed
    assert "after 4 actions" in printed


def test_the_end_of_input_ends_the_game(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert exit_code(["play", "dungeon", "--game-seed", "0"]) == 0
    assert "after 0 actions" in capsys.readouterr().out


def test_an_expert_is_watched_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "puzzle", "--expert", "--game-seed", "0"]) == 0
    assert "Score 100.0 of 100" in capsys.readouterr().out


def test_chance_is_watched(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "farm", "--random", "--game-seed", "0", "--steps", "5"]) == 0
    assert "after 5 actions" in capsys.readouterr().out


def test_only_one_player_plays(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "farm", "--random", "--expert"]) == 2

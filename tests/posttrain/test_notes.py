"""Notes are cut at headings, never inside a paragraph, and learnt both as text and as answers."""

from pathlib import Path

import pytest

from conversations import chats
from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError
from mambino.posttrain.notes import Section, read_notes, sections
from tiny_chat import tiny_tokenizer


def test_sections_follow_both_kinds_of_headings() -> None:
    text = "Before.\n\n# One #\nFirst.\n\nTwo\n===\n\nSecond.\n\n### Empty\n"
    assert list(sections("file", text)) == [
        Section(heading="file", text="Before."),
        Section(heading="One", text="First."),
        Section(heading="Two", text="Second."),
    ]


def test_long_sections_are_cut_between_paragraphs() -> None:
    paragraphs = [f"{index} " + "word " * 150 for index in range(6)]
    parts = [section.text for section in sections("file", "# H\n" + "\n\n".join(paragraphs))]
    assert len(parts) > 1
    assert "\n\n".join(parts).split("\n\n") == [paragraph.strip() for paragraph in paragraphs]


def test_a_folder_of_notes_and_chats_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Gate\n\nIt is blue.")
    (tmp_path / "a.txt").write_text("Roses grow here.")
    (tmp_path / "skip.py").write_text("x = 1")
    chats(tmp_path / "c.jsonl", 2)
    tokenizer = tiny_tokenizer()
    notes = read_notes(tmp_path, PromptEncoder(tokenizer))
    assert notes.num_files == 3
    assert len(notes.units) == 4
    plain, *asked = notes.units[1][1]
    assert tokenizer.decode(plain.tokens.tolist()) == "Gate\n\nIt is blue.<|im_end|>"
    assert plain.counted.all()
    assert "What do my notes say about Gate?" in tokenizer.decode(asked[0].tokens.tolist())
    assert tokenizer.decode(asked[0].tokens[asked[0].counted].tolist()) == "It is blue.<|im_end|>"
    assert notes.questions[0] == "What do my notes say about a?"


def test_nothing_too_much_and_not_text_are_refused(tmp_path: Path) -> None:
    prompt = PromptEncoder(tiny_tokenizer())
    with pytest.raises(InputError, match="got 0"):
        read_notes(tmp_path, prompt)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_notes(tmp_path, prompt)

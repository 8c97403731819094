"""Breaks streamed text at words to fit a terminal. Start at WordWrap."""

from prompt_toolkit.utils import get_cwidth


class WordWrap:
    """Text in pieces in, the same text with line breaks out; the word being written is held back until it ends.

    A word wider than the line is passed on as it is, for the terminal to break.
    """

    def __init__(self, width: int) -> None:
        """width: columns of the line, at least 1."""
        self._width = max(1, width)
        self._column = 0
        self._word = ""

    def feed(self, text: str) -> str:
        """What can be shown now."""
        shown = []
        for letter in text:
            if letter not in " \n" and get_cwidth(self._word) < self._width:
                self._word += letter
                continue
            shown += [self._place_word(), self._place_letter(letter)]
        return "".join(shown)

    def finish(self) -> str:
        """The rest of the last word. Mutates self: the next feed goes on behind it."""
        return self._place_word()

    def _place_word(self) -> str:
        word, self._word = self._word, ""
        width = get_cwidth(word)
        breaks = self._column > 0 and self._column + width > self._width
        self._column = (0 if breaks else self._column) + width
        return "\n" + word if breaks else word

    def _place_letter(self, letter: str) -> str:
        """A space or a newline, or the first letter of what is left of a word that is too wide."""
        if letter == "\n":
            self._column = 0
        elif letter == " " and self._column < self._width:
            self._column += 1
        elif letter == " ":
            return ""  # a space at the edge becomes the break before the next word
        else:
            self._word = letter
            return ""
        return letter

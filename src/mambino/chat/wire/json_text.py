"""One JSON object that comes character by character, written again as correct JSON as soon as each piece is certain.

Small faults of models are mended (line breaks in strings, Python's True, single quotes, a last comma, missing ends);
anything else raises. Knows text only. Start at JsonText.step.
"""

import json
import re
from typing import Literal

MAX_DEPTH = 64
MAX_SCALAR_CHARS = 400

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")  # up to e99: finite in every reader
_LITERALS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_SCALAR_CHARS = frozenset("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PLAIN = re.compile(r"""[^"'\\\x00-\x1f]+""")
_HEX = frozenset("0123456789abcdefABCDEF")

State = Literal["start", "key or end", "key", "colon", "value or end", "value", "more", "string", "scalar", "done"]


class NotJsonError(ValueError):
    """The text cannot be the JSON that it began as."""


class JsonText:
    """Reads one object, or array.

    state is what may come next; depth counts open objects and arrays; key is the last key of the outermost object, and
    top_string its last value if that was a string.
    """

    def __init__(self) -> None:
        self.state: State = "start"
        self.key: str | None = None
        self.top_string: str | None = None
        self.repairs: dict[str, None] = {}
        self._open: list[str] = []  # closers, innermost last
        self._due = ""  # comma, key and colon: written together with the value that they lead to
        self._unsent = ""  # a scalar that was ended by something that does not fit
        self._token: list[str] = []  # of the string or scalar being read
        self._string = _StringText('"')
        self._is_key = False

    @property
    def depth(self) -> int:
        return len(self._open)

    def step(self, char: str) -> str:
        """The text that became certain with char. Mutates self. Raises NotJsonError."""
        match self.state:
            case "string":
                return self._in_string(char)
            case "scalar":
                if char in _SCALAR_CHARS and len(self._token) < MAX_SCALAR_CHARS:
                    self._token.append(char)
                    return ""
                self._unsent = self._end_scalar()
                after = self.step(char)
                text, self._unsent = self._unsent + after, ""
                return text
            case "done":
                raise NotJsonError("text after the end")
        return "" if char in " \t\r\n" else self._at_token(char)

    def plain_run(self, text: str, start: int) -> str:
        """Characters of text from start on that stand for themselves in the string being read; step takes the next.

        Mutates    self: they are read
        """
        if self.state != "string" or self._is_key or not self._string.is_plain:
            return ""
        match = _PLAIN.match(text, start)
        run = match.group() if match else ""
        if self.depth == 1 and len(self._token) < MAX_SCALAR_CHARS:
            self._token.append(run)
        return run

    def close(self) -> str:
        """What is missing to make the text so far one JSON value. Mutates self: it is done."""
        written = self._unsent
        if self.state == "string" and not self._is_key:
            written = self._string.close() + '"'
        elif self.state == "scalar":
            try:
                written = self._end_scalar()
            except NotJsonError:
                self.repairs["dropped an unfinished value"] = None
        written += "".join(reversed(self._open))
        self._open.clear()
        self.state = "done"
        return written

    def pass_over(self) -> None:
        """The value that is due was read by someone else. Mutates self."""
        self._due = ""
        self.state = "more"

    def _at_token(self, char: str) -> str:
        match self.state:
            case "start" | "value" | "value or end":
                if char == "]" and self.state == "value or end":
                    return self._end(char)
                return self._begin_value(char)
            case "key" | "key or end":
                if char == "}":
                    if self.state == "key":
                        self.repairs["dropped a last comma"] = None
                    return self._end(char)
                return self._begin_string(char, is_key=True)
            case "colon":
                if char == ":":
                    self._due += ": "
                    self.state = "value"
                    return ""
            case "more":
                if char == ",":
                    self._due = ", "
                    self.state = "key" if self._open[-1] == "}" else "value"
                    return ""
                return self._end(char)
        raise NotJsonError(f"{char!r} where {self.state} is due")

    def _begin_value(self, char: str) -> str:
        due = self._due
        if char in "{[":
            if len(self._open) == MAX_DEPTH:
                raise NotJsonError(f"more than {MAX_DEPTH} levels")
            self._due = ""
            self._open.append("}" if char == "{" else "]")
            self.state = "key or end" if char == "{" else "value or end"
            return due + char
        if char == "]" and self._open[-1:] == ["]"]:
            self.repairs["dropped a last comma"] = None
            return self._end(char)
        if not self._open:
            raise NotJsonError("neither an object nor an array")
        if char in _SCALAR_CHARS:
            self._token, self.state = [char], "scalar"
            return ""
        self._due = ""
        return due + self._begin_string(char, is_key=False)

    def _begin_string(self, char: str, *, is_key: bool) -> str:
        if char not in "\"'":
            raise NotJsonError(f"{char!r} where a string is due")
        if char == "'":
            self.repairs["single quotes"] = None
        self._string, self._token = _StringText(char), []
        self._is_key, self.state = is_key, "string"
        return "" if is_key else '"'

    def _in_string(self, char: str) -> str:
        text = self._string.step(char)
        if self._string.mended:
            self.repairs[self._string.mended] = None
        if text is not None:
            keeps = self._is_key or (self.depth == 1 and len(self._token) < MAX_SCALAR_CHARS)
            if keeps and text:
                self._token.append(text)
            return "" if self._is_key else text
        rest = self._string.close()
        content = "".join(self._token) + rest
        if self._is_key:
            self._due += f'"{content}"'
            self.state = "colon"
            if self.depth == 1:
                self.key, self.top_string = json.loads(f'"{content}"'), None
            return ""
        self.state = "more"
        if self.depth == 1:
            self.top_string = json.loads(f'"{content}"')
        return rest + '"'

    def _end_scalar(self) -> str:
        token = "".join(self._token)
        if token in _LITERALS:
            if token[0].isupper():
                self.repairs["Python's spelling of true, false or null"] = None
            token = _LITERALS[token]
        elif not _NUMBER.fullmatch(token):
            raise NotJsonError(f"{token[:20]!r} is no JSON value")
        due, self._due, self.state = self._due, "", "more"
        return due + token

    def _end(self, char: str) -> str:
        if not self._open or char != self._open[-1]:
            raise NotJsonError(f"{char!r} where a comma or the end is due")
        self._open.pop()
        self._due = ""
        self.state = "more" if self._open else "done"
        return char


class _StringText:
    """The inside of one string, made correct: escapes whole, no raw control characters, no halves of characters."""

    def __init__(self, quote: str) -> None:
        self.mended = ""
        self._quote = quote
        self._escape = ""  # an escape being read
        self._high = ""  # the first half of a character, which needs the second

    @property
    def is_plain(self) -> bool:
        """Whether no escape and no half character is unfinished."""
        return not self._escape and not self._high

    def step(self, char: str) -> str | None:
        """The text that became certain; None at the closing quote. Mutates self."""
        if self._escape:
            return self._in_escape(char)
        if char == "\\":
            self._escape = char
            return ""
        if char == self._quote:
            return None
        return self.close() + self._plain(char)

    def close(self) -> str:
        """What is left of a half character. Mutates self."""
        high, self._high = self._high, ""
        self._escape = ""
        return "\ufffd" if high else ""

    def _plain(self, char: str) -> str:
        if char < " ":
            self.mended = "a raw line break or control character in a string"
        return json.dumps(char, ensure_ascii=False)[1:-1]

    def _in_escape(self, char: str) -> str:
        escape = self._escape + char
        if escape == "\\u" or (len(escape) > 2 and char in _HEX and len(escape) < 6):
            self._escape = escape
            return ""
        self._escape = ""
        if len(escape) == 6 and char in _HEX:
            return self._unicode(escape)
        before = self.close()
        if len(escape) == 2 and char in '"\\/bfnrt':
            return before + escape
        if escape[1] == "u":
            raise NotJsonError(f"{escape!r} is no escape")
        self.mended = "an escape that JSON does not know"
        return before + (char if char == "'" else "\\\\" + self._plain(char))

    def _unicode(self, escape: str) -> str:
        code = int(escape[2:], 16)
        if 0xD800 <= code < 0xDC00:
            before = self.close()
            self._high = escape
            return before
        if 0xDC00 <= code < 0xE000:
            high, self._high = self._high, ""
            return high + escape if high else "\ufffd"
        return self.close() + escape

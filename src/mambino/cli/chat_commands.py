"""The /commands of `mambino chat`. Start at Commands.run; a command is a method and a row in NAMES."""

import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from mambino.chat.events import ChatEvent
from mambino.chat.request import Thinking
from mambino.chat.saved import load_messages, save_messages
from mambino.chat.session import Chat
from mambino.cli.chat_view import AnswerView
from mambino.cli.opening import Opened, resident_memory
from mambino.cli.sampling import ChosenSampling, parse_setting
from mambino.cli.terminal import human_bytes, note, write
from mambino.errors import InputError

# name -> (arguments, what it does)
NAMES = {
    "help": ("", "this list"),
    "clear": ("", "forget the conversation, keep the system text"),
    "system": ("[TEXT]", "show or replace the system text; - removes it"),
    "undo": ("", "take back the last question and its answer"),
    "regenerate": ("", "answer the last question again"),
    "set": ("[NAME VALUE]", "show the sampling, or change it: /set temperature 0.3, /set seed none"),
    "think": ("[on|off|auto|N|show|hide]", "whether the model reasons, and whether you see it; show unfolds the last"),
    "stats": ("", "speed of the last answer, memory, use of the context"),
    "save": ("FILE", "write the conversation as JSON"),
    "load": ("FILE", "go on with a saved conversation"),
    "quit": ("", "leave (as Ctrl-D does)"),
}


_THINKING: dict[str, bool | None] = {"on": True, "off": False, "auto": None}

Answer = Generator[ChatEvent, None, None]


@dataclass(slots=True, kw_only=True)
class Talk:
    """What a chat in the terminal consists of."""

    opened: Opened
    chat: Chat
    sampling: ChosenSampling
    view: AnswerView

    def ask(self, text: str) -> Answer:
        """The answer to text, not yet begun."""
        self._reseed()
        return self.chat.reply(text, on_prompt_progress=self.view.progress)

    def ask_again(self) -> Answer:
        """Another answer to the last question, not yet begun."""
        self._reseed()
        return self.chat.regenerate(on_prompt_progress=self.view.progress)

    def _reseed(self) -> None:
        """Every answer draws anew, unless the user chose a seed."""
        self.sampling = self.sampling.with_fresh_seed()
        self.chat.params = self.sampling.params


class Commands:
    """Runs /commands on a Talk; an answer that a command asks for is left for take_answer."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._answer: Answer | None = None
        self._runs: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "clear": self._clear,
            "system": self._system,
            "undo": self._undo,
            "regenerate": self._regenerate,
            "set": self._set,
            "think": self._think,
            "stats": self._stats,
            "save": self._save,
            "load": self._load,
        }

    def is_command(self, text: str) -> bool:
        """A message that begins with a slash is typed with two."""
        return text.startswith("/") and not text.startswith("//")

    def run(self, text: str) -> bool:
        """Run one /command; any unambiguous beginning of its name will do. False if it was /quit.

        Raises     InputError for an unknown command; what the command raises
        """
        name, _, argument = text[1:].partition(" ")
        matches = [known for known in NAMES if known.startswith(name.lower())] if name else []
        if name.lower() not in NAMES and len(matches) != 1:
            what = (
                f"/{name} may be {' or '.join(f'/{match}' for match in matches)}" if matches else f"no command /{name}"
            )
            raise InputError(f"{what}; /help lists them, and // begins a message with a slash")
        chosen = name.lower() if name.lower() in NAMES else matches[0]
        if chosen == "quit":
            return False
        try:
            self._runs[chosen](argument.strip())
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        return True

    def take_answer(self) -> Answer | None:
        """The answer that the last command asked for, once."""
        answer, self._answer = self._answer, None
        return answer

    def _help(self, argument: str) -> None:
        for name, (arguments, what) in NAMES.items():
            note(f"  {f'/{name} {arguments}':<34}{what}")
        note('  Alt-Enter or Esc Enter: new line;  """: longer text, up to the next """;  Ctrl-C: stop the answer')

    def _clear(self, argument: str) -> None:
        self._talk.chat.clear()
        note("forgotten" + (", but for the system text" if self._talk.chat.system else ""))

    def _system(self, argument: str) -> None:
        chat = self._talk.chat
        if not argument:
            note(f"system: {chat.system}" if chat.system is not None else "no system text")
            return
        chat.set_system(None if argument == "-" else argument)
        note("system text removed" if argument == "-" else "system text set; the conversation goes on under it")

    def _undo(self, argument: str) -> None:
        undone = self._talk.chat.undo()
        note("nothing to take back" if undone is None else f"taken back: {_short(undone.content)}")

    def _regenerate(self, argument: str) -> None:
        self._answer = self._talk.ask_again()

    def _set(self, argument: str) -> None:
        name, _, value = argument.partition(" ")
        if name:
            if not value:
                raise InputError(f"[sampling] /set {name} needs a value: /set temperature 0.3, /set max_tokens none")
            self._talk.sampling = self._talk.sampling.with_field(name, parse_setting(name, value.strip()))
            self._talk.chat.params = self._talk.sampling.params
        drawn = (
            "" if "seed" in self._talk.sampling.sources else f"; seed of the last answer {self._talk.chat.params.seed}"
        )
        note(f"sampling: {self._talk.sampling.describe()}{drawn}")

    def _think(self, argument: str) -> None:
        chat, view = self._talk.chat, self._talk.view
        if argument in _THINKING:
            chat.thinking = _THINKING[argument]
        elif argument.isdecimal():
            chat.thinking = int(argument)
        elif argument in ("show", "hide"):
            view.shows_thinking = argument == "show"
            if view.shows_thinking:
                self._unfold()
        elif argument:
            raise InputError(f"[chat] /think {argument}: expected on, off, auto, a number of tokens, show or hide")
        switch = _thinking_in_words(chat.thinking)
        note(f"thinking: {switch}, {'shown' if view.shows_thinking else 'folded'}")

    def _unfold(self) -> None:
        last = self._talk.chat.messages[-1:]
        if last and last[0].reasoning:
            write(last[0].reasoning + "\n", sys.stdout, "dim")

    def _stats(self, argument: str) -> None:
        chat, opened, turn = self._talk.chat, self._talk.opened, self._talk.chat.last_turn
        if turn is not None:
            fresh = turn.prompt_tokens - turn.reused_tokens
            note(
                f"prompt   {fresh} tokens in {turn.prompt_s:.2f} s, {turn.prompt_tokens_per_s:.1f} tokens/s; "
                f"{turn.reused_tokens} reused" + (f" ({chat.last_note})" if chat.last_note else "")
            )
            thought = f", {turn.reasoning_tokens} of them thinking" if turn.reasoning_tokens else ""
            note(f"answer   {len(turn.tokens)} tokens{thought}, {turn.decode_tokens_per_s:.1f} tokens/s")
        resident = resident_memory()
        process = f"; process {human_bytes(resident)}" if resident is not None else ""
        note(
            f"memory   weights {human_bytes(opened.checkpoint.nbytes)}, state and snapshots "
            f"{human_bytes(chat.state_nbytes)}{process}"
        )
        share = 100 * chat.used_tokens / chat.max_tokens
        note(f"context  {chat.used_tokens} of {chat.max_tokens} tokens, {share:.0f} %")

    def _save(self, argument: str) -> None:
        path = _path(argument, "save")
        about = {"model": self._talk.opened.name, "sampling": self._talk.sampling.to_json()}
        save_messages(path, self._talk.chat.messages, about=about)
        note(f"saved to {argument}")

    def _load(self, argument: str) -> None:
        messages = load_messages(_path(argument, "load"))
        self._talk.chat.messages = messages
        asked = sum(message.role == "user" for message in messages)
        note(f"loaded {argument}: {asked} questions" + (f"; last: {_short(messages[-1].content)}" if messages else ""))


def _thinking_in_words(thinking: Thinking) -> str:
    if thinking is None:
        return "as the model likes"
    if isinstance(thinking, bool):
        return "on" if thinking else "off"
    return f"on, for at most {thinking} tokens"


def _path(argument: str, name: str) -> Path:
    """The path as it was typed; only ~ is filled in."""
    if not argument:
        raise InputError(f"[chat] /{name} needs a file name")
    return Path(argument).expanduser()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."

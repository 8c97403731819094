"""What personas may use and remember while a server runs: each thing made once, so that it lasts and is shared.

Start at ServedTools.
"""

import threading
from collections.abc import Sequence

from mambino.chat.memory import Memory
from mambino.chat.persona import check_id, find_persona
from mambino.chat.toolbox import ToolBox
from mambino.chat.tools import Tool
from mambino.cli.personas import folders, memory_of, own_tools
from mambino.cli.terminal import note
from mambino.errors import FormatError


class ServedTools:
    """By the id of a persona, or None for nobody in particular. Safe between threads.

    An id that is none, or that no persona has, raises InputError.
    """

    def __init__(self, names: Sequence[str], fetched: Sequence[Tool] = ()) -> None:
        """names: built-in tools for everybody; fetched: those of other servers, for everybody on the page."""
        self._names = names
        self._fetched = fetched
        self._memories: dict[str, Memory | None] = {}
        self._own: dict[str | None, tuple[Tool, ...]] = {}
        self._lock = threading.RLock()
        self.box(None)  # an unknown name is said before anybody comes

    def box(self, persona_id: str | None) -> ToolBox:
        """All tools."""
        return ToolBox((*self._tools(persona_id), *self._fetched))

    def own_box(self, persona_id: str | None) -> ToolBox:
        """Only tools of this server, none of another's."""
        return ToolBox(self._tools(persona_id))

    def memory(self, persona_id: str) -> Memory | None:
        """None if it remembers nothing, or its file cannot be read, which is said once."""
        with self._lock:
            if persona_id not in self._memories:
                persona = find_persona(check_id(persona_id), folders())
                try:
                    self._memories[persona_id] = memory_of(persona)
                except FormatError as error:
                    note(str(error))
                    self._memories[persona_id] = None
            return self._memories[persona_id]

    def _tools(self, persona_id: str | None) -> tuple[Tool, ...]:
        with self._lock:
            if persona_id not in self._own:
                if persona_id is None:
                    self._own[None] = own_tools(self._names)
                else:
                    persona = find_persona(check_id(persona_id), folders())
                    self._own[persona_id] = own_tools((*self._names, *persona.tools), self.memory(persona_id))
            return self._own[persona_id]

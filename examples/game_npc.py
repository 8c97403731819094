"""A character in a game, who remembers the player from one evening to the next.

python examples/game_npc.py [MODEL]      say something, line by line; what is worth it is kept in npc-memory.json
"""

import sys
from pathlib import Path

from mambino import Chat, Persona, open_model, open_tokenizer
from mambino.chat.memory import Memory

NAME = sys.argv[1] if len(sys.argv) > 1 else "bundled"
SMITH = Persona(
    id="smith",
    name="Brakk",
    voice="You are the smith of a mountain village: gruff, proud of your work, fond of riddles.",
    rules=("Never leave your role.", "Speak at most two sentences."),
    greeting="Mind the sparks. What do you need?",
    sampling={"temperature": 0.8, "top_p": 0.95, "max_tokens": 80},
)
memory = Memory(Path("npc-memory.json"), max_facts=20)
chat = Chat(
    open_model(NAME), open_tokenizer(NAME), max_tokens=1024, persona=SMITH, remembered=memory.text(), when_full="drop"
)
print(SMITH.greeting)
for line in sys.stdin:
    if line.startswith("my name is "):
        memory.remember(f"The player's {line.strip().removeprefix('my ')}.")
    print(chat.ask(line.strip()))

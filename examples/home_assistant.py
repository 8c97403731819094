"""A home assistant: a model that switches lights by calling a Python function.

python examples/home_assistant.py MODEL      (a model whose chat template knows tools)
"""

import sys

from mambino import Chat, SamplingParams, open_model, open_tokenizer, tool

LIGHTS = {"kitchen": False, "hall": False, "cellar": True}


@tool
def set_light(room: str, on: bool) -> str:
    """Switch a light on or off.

    Args:
        room: which light: kitchen, hall or cellar
        on: whether it shall burn
    """
    if room not in LIGHTS:
        return f"there is no {room}; there are {', '.join(LIGHTS)}"
    LIGHTS[room] = on
    return f"the light in the {room} is {'on' if on else 'off'}"


chat = Chat(
    open_model(sys.argv[1]),
    open_tokenizer(sys.argv[1]),
    max_tokens=4096,
    system="You look after a house. Use the tools; never guess. Answer in one sentence.",
    params=SamplingParams(temperature=0.6, top_p=0.95),
    tools=[set_light],
)
for line in sys.stdin:
    print(chat.ask(line.strip()))
    print("  lights:", LIGHTS)

"""A game as an MCP server on standard input and output, for any agent that speaks MCP. Start at serve_game."""

from collections.abc import Callable
from dataclasses import dataclass

from mambino.errors import Unsupported
from mambino.worlds.world import Observation, World


@dataclass(slots=True, kw_only=True)
class GameTools:
    """The tools: each returns what a player sees."""

    world: World
    seed: int

    def reset(self, seed: int | None = None) -> str:
        """Begin a new game. The same seed is the same game; without one, the last seed again."""
        self.seed = self.seed if seed is None else seed
        return shown(self.world.reset(self.seed))

    def step(self, action: str) -> str:
        """Take one action, as one line of text, and see what it did."""
        return shown(self.world.step(action))

    @property
    def all(self) -> tuple[Callable[..., str], ...]:
        return self.reset, self.step


def shown(seen: Observation) -> str:
    """Everything of an observation, as text for a model."""
    lines = [seen.note, seen.text] if seen.note else [seen.text]
    lines.append(f"Score: {seen.score:.1f} of 100")
    lines.append("The game is over." if seen.is_done else "Possible actions: " + "; ".join(seen.actions))
    return "\n".join(lines)


def serve_game(name: str, world: World, seed: int) -> None:
    """Serve until standard input ends. Raises Unsupported without the extra mcp."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ModuleNotFoundError as error:
        raise Unsupported("[play] --mcp needs the package mcp: pip install 'mambino[mcp]'") from error
    tools = GameTools(world=world, seed=seed)
    tools.reset()
    server = MCPServer(f"mambino-{name}", instructions=world.rules)
    for tool in tools.all:
        server.tool()(tool)
    server.run("stdio")

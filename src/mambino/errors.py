"""Every exception that mambino raises on purpose.

A message says four things: [where] what, expected, got, what to do. Catch MambinoError to catch all of them.
"""


class MambinoError(Exception):
    """Base of all errors that mambino raises on purpose."""


class ConfigError(MambinoError):
    """A model description is incomplete, contradictory, or unknown."""


class FormatError(MambinoError):
    """A file does not hold what its format promises: truncated, corrupt, or inconsistent."""


class Unsupported(MambinoError):
    """The input is valid, but asks for something that mambino does not implement."""


class ContextFull(MambinoError):
    """The tokens do not fit into the state; raised before the state changes."""


class TemplateError(MambinoError):
    """A chat template is missing, does not parse, or refuses the messages."""


class ToolError(MambinoError):
    """A tool was called wrongly, failed, or exceeded its limits."""


class InputError(MambinoError, ValueError):
    """An argument or a request is out of range or of the wrong form."""


class FetchError(MambinoError):
    """A model could not be found or downloaded."""


class TrainingError(MambinoError):
    """Training cannot go on: a loss or a gradient is not finite."""

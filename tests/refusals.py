"""For tests that throw anything at a door: what it said, or nothing if it opened."""

from mambino.errors import MambinoError


def refusal(call, *args):
    """The message if call raises one of our errors, "" if it returns; any other exception passes through."""
    try:
        call(*args)
    except MambinoError as error:
        return str(error) or "no message"
    return ""

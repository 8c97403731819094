"""A small service in the manner of BFCL's: public methods that return dicts, and a public state."""


class Shelf:
    """Books by name, and how many of each."""

    def __init__(self) -> None:
        self.books: dict[str, int] = {}
        self._seen = 0

    def add(self, name: str, count: int = 1) -> dict[str, object]:
        self.books[name] = self.books.get(name, 0) + count
        return {"added": name}

    def count(self, name: str) -> dict[str, object]:
        self._seen += 1
        return {"count": self.books.get(name, 0)}

    def title(self, *, author: str) -> str:
        return f"{author}'s book"

    def drop(self, name: str) -> dict[str, object]:
        del self.books[name]
        return {"dropped": name}

    def _burn(self) -> str:
        self.books.clear()
        return "burnt"


def new_shelf() -> dict[str, object]:
    return {"Shelf": Shelf()}

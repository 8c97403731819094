"""The home-and-game assistant's lessons: a chat template, rows by kind, and the judge that measures a model on them."""

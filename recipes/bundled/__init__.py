"""How the bundled model is made, from nothing: text (stories, chats, facts), tokenizer, training, export.

python -m recipes.bundled --folder RUN_FOLDER does all of it and continues where it was stopped. Start at recipe.py for
the numbers, stories.py and chats.py for what it reads.
"""

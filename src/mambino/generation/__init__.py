"""Token ids in, token events out, over any LanguageModel. Start at generate.py."""

"""Text to token ids and back, over the `tokenizers` library. Start at tokenizer.py; files.py opens one."""

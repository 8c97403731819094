"""People's words to tokens and back: messages, the model's own template, the split of thinking from answer, a session.

May know generation and the tokenizer, never which engine runs. Start at session.Chat.
"""

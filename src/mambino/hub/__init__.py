"""Model names to local paths: what is installed, what is bundled, and how to fetch more from the Hugging Face hub.

Knows files by name and size only, never what is in them. local needs no network; remote asks the hub; download fetches.
"""

"""Files to named arrays and back: GGUF, safetensors, Hugging Face config.json, checkpoint directories.

Knows config, quant and errors; no torch, no forward pass. Start at checkpoint.py (open_checkpoint), then names.py.
"""

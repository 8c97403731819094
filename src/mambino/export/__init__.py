"""Writing models in other formats. Start at gguf.export_gguf."""

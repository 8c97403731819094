"""The PyTorch implementation: the definition of right, and the thing that trains.

Knows lm, config and formats; knows nothing of text, sampling or the C++ engine.
Start at hybrid.HybridLM (the module that trains), ssd (the recurrence), torch_lm.TorchLM (the contract).
"""

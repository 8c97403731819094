"""What a model learns after pretraining: fine-tuning on chats, adapters, preferences, rewards.

Start at rows.py and sft.py; rollout.py and grpo.py for reinforcement learning.
"""

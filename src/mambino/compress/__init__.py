"""Smaller models out of a large one: rank, permute, nest, slice, distil. Start at sub.SubConfig, then nested.NestedLM.

A smaller model is a prefix of a permuted larger one on every axis, so one set of weights holds them all.
"""

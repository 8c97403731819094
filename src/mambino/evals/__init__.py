"""Measuring what a model does; knows models only through the contract."""

"""Verifiers: pure functions from an answer to Scored. They know no model, no file and no network."""

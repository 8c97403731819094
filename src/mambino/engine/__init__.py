"""The C++ engine behind the LanguageModel contract."""

"""How models write tool calls: one file a format, each with its streaming reader, its renderer and its grammar.

May know messages, not tokens or models. Start at format.WireFormat, and detect.wire_format_of.
"""

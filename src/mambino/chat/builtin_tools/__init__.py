"""Tools that come with mambino: clock, calculator, notes, home. Start at named.builtin_tools."""

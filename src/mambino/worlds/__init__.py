"""Small simulated places: text in, action out, a score. They know no model."""

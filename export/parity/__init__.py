"""How far a written file is from the reference, and where the difference starts."""

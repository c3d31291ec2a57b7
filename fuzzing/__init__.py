"""Seeded damage to all that a user can hand in, and what must hold whatever it is."""

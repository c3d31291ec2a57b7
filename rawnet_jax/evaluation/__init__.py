"""Pictures and reports from scores; no model needed."""

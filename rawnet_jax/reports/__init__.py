"""Pictures, tables and pages from results."""

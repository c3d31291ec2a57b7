"""Which time spans and which frequency bands moved a score."""

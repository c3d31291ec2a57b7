"""Kinds of event that happen to real processes: kills, full disks, races."""

"""Speaker verification: encoders of voices, enrolment, comparison, decisions with a spoof gate."""

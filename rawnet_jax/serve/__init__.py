"""A service that scores audio for other programs: an HTTP gate."""

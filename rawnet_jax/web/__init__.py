"""The page that scores a recording in the browser: its files, and a server for this machine."""

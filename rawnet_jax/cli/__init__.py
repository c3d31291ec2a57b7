"""One module a group of commands of the command line."""

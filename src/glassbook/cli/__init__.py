"""The command line: a file a verb, and one door for every error."""

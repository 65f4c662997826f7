"""The arguments of commands that import much: they are read first, so that --help and a wrong option answer at once."""

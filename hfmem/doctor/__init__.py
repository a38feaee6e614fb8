"""The checkpoint doctor: everything that is wrong with a tree of files, not just the first thing."""

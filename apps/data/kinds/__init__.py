"""Kinds of columns, one file each: the class that readers ask, and the function that declares."""

"""Kinds of columns, one file each: the class that readers use, and a function to declare one."""

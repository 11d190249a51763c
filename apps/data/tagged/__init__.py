"""Sentences whose words carry tags: tagging schemes, and files of columns."""

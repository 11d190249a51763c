"""Listening: a sound followed chunk by chunk, and what is decided and printed as it goes on."""

"""Speech: keyword spotting and speech to text, and the words they are tried on."""

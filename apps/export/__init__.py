"""From a run to what a server loads."""

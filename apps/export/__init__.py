"""From a run to the SavedModel that a server loads."""

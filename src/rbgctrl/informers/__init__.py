"""List, watch, remember: an indexed in-memory view of the cluster that knows how current it is."""

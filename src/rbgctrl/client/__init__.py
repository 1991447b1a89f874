"""The one door to the API server: configuration, requests, errors, wrappers. It knows nothing of planning."""

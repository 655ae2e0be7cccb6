"""The tests; their tree mirrors the package, one folder for each kind."""

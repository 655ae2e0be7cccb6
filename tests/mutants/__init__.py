"""`make mutants`: eight changes that break a promise, and the named test that each of them must turn red."""

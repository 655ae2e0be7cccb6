"""Parents of an embedded server: the programs of the how-to page, each in a process of its own."""

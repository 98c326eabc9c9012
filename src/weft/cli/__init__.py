"""The command line: everything a person does with a controller, over its public API only."""

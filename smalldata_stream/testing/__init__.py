"""Contract tests that ship with the package: subclass one, give it your class."""

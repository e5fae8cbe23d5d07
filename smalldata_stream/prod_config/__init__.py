"""Existing production configurations of smalldata_tools, as graph files."""

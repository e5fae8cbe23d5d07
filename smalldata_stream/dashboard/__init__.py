"""The dashboard: a web page of what a graph publishes, in a process of its own."""

"""Put source, graph and sinks together: the only place that knows all."""

"""Put samples on one scale."""

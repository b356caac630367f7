"""Alert rules for Prometheus, and the tool that tries them."""

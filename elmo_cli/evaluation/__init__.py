"""Numbers about predictions: metrics, reports and plots."""

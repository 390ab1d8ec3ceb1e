"""How any model here is trained: devices, seeds, the loop and what it reports."""

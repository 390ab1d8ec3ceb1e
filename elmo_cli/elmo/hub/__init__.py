"""Modules of TensorFlow Hub: run as they are, computed with the native network, and written."""

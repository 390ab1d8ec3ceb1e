"""Bringing an ELMo to this machine: public models, downloads that arrive, archives, their content."""

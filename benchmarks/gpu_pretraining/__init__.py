"""Pre-training on a GPU, in PyTorch: text → arrays (`prepare`), arrays → weights (`train`), weights → an ELMo (`finish`)."""

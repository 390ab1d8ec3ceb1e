"""Pre-training on a GPU, in PyTorch.

`prepare` makes arrays of text, `train` makes weights of arrays, `finish` makes an ELMo of weights.
"""

"""What is trained on top of ELMo: pooling, the mix of its layers and a dense head."""

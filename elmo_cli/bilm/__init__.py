"""The bidirectional language model of ELMo (Peters et al. 2018), written in Keras."""

"""What `elmo_cli.workflows.pretrain` is made of: texts, corpus, the model in training, checkpoints."""

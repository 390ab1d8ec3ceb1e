"""Where embeddings come from: handles, downloads and embedders behind one contract."""

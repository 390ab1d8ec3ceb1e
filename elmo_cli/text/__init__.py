"""Words and labels: tables, tokens, splits and the preprocessor; NumPy and pandas, no TensorFlow."""

"""Any checkpoint, read lazily and never unpickled: tensors, statistics, differences, history."""

"""Data sets: images in three splits, how MNIST gets here, and batches."""

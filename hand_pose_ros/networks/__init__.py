"""Networks as torch modules, for gradients, training and export."""

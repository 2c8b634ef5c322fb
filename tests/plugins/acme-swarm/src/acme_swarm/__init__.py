"""A kind of node, a fault and a check, as another package brings them."""

"""Golden vectors: what Python computes, for Kotlin to compute too. `make golden` writes them."""

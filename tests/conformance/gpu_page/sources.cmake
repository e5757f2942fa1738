set(LIBS attune_kernels attune_proof)

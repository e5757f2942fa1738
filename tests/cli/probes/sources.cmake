set(LIBS attune_proof attune_kernels)

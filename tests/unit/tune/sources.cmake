set(LIBS attune_tune attune_kernels)

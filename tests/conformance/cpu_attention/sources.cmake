set(LIBS attune_kernels)

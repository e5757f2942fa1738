set(LIBS attune_ops)

set(LIBS attune_core)

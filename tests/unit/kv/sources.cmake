set(LIBS attune_kv)

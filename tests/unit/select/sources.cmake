set(LIBS attune_select)

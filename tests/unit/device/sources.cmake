set(LIBS attune_device)

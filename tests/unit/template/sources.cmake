set(LIBS attune_loader)

set(LIBS reference_catalogue attune_tune)

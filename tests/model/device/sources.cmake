set(LABELS cuda)

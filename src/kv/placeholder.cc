// placeholder until the folder has a source

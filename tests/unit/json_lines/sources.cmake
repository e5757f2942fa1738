set(LIBS cli_json_lines)

# The tests run the program and read what it says.
set(LIBS nlohmann_json::nlohmann_json)

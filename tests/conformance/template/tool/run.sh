#!/bin/sh
# Runs the comparison with Jinja2 in the project's virtual environment; 77 means skipped.
source_dir=$1
tool=$2
python=$source_dir/.venv/bin/python
if [ ! -x "$python" ]; then
  echo "skipped: $python is missing (make test makes it)"
  exit 77
fi
exec "$python" "$source_dir/tests/conformance/template/compare.py" "$tool"

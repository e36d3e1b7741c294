#!/bin/sh
# settle FOLDER: make what was installed the same each time: without the installer's own notes, with fixed file times.
set -e
rm -f "$1/.lock"
find "$1" -name uv_cache.json -delete
find "$1" -name RECORD -exec sed -i '/\/uv_cache.json,/d' {} +
exec find "$1" -exec touch --no-dereference --date 1980-01-01T00:00:00Z {} +

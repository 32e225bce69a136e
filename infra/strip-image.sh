#!/bin/sh
# Removes from a built tree what only builds and tests need. Run it in the root of the tree, and only while building an image.
set -eu
find packages apps -name src -type d -prune -exec rm -rf {} +
find packages apps \( -name tsconfig.json -o -name '*.tsbuildinfo' -o -name '*.test.*' -o -name '*.d.ts' -o -name '*.map' \) -not -path '*/node_modules/*' -delete
rm -rf packages/testkit node_modules/@mylab-sync/testkit node_modules/@mylab-sync/test infra scripts

#!/usr/bin/env bash
# Prints the compiler's settings for the children as a package holds them:
#   eval "$(scripts/cgo.sh amd64)"
# OPENCV is the folder that scripts/opencv.sh made, TENSORFLOW that of scripts/tensorflow.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$(dpkg --print-architecture)
architecture=${1:-$here}
opencv=$(scripts/opencv.sh "$architecture")
scripts/tensorflow.sh "$architecture" >&2
tensorflow=$PWD/.deps/libtensorflow
cross=''
if [ "$architecture" != "$here" ]; then
  tensorflow=$tensorflow-$architecture
  cross=$(ls "$opencv/packages/libc6/usr/lib" | grep -- -linux-gnu)-
fi
# Sections of their own let the linker leave out what the children never call, gocv's calls
# into modules of OpenCV that are not there among it.
sections="-O2 -ffunction-sections -fdata-sections -fstack-protector-strong -D_FORTIFY_SOURCE=2"
printf 'export %s=%q\n' \
  OPENCV "$opencv" TENSORFLOW "$tensorflow" CROSS "$cross" \
  CGO_ENABLED 1 GOARCH "$architecture" CC "${cross}gcc" CXX "${cross}g++" \
  PKG_CONFIG_LIBDIR "$opencv/pkgconfig" \
  CGO_CFLAGS "-I$tensorflow/include $sections" CGO_CXXFLAGS "$sections" \
  CGO_LDFLAGS "-Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -L$tensorflow/lib -Wl,-rpath,\$ORIGIN -Wl,-rpath-link,$tensorflow/lib:$opencv/link"

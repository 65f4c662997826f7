#!/usr/bin/env bash
# Builds the OpenCV and FFmpeg that the package's camera child carries, from Debian's own
# source packages: Debian's binaries bring 546 MiB along. Prints the folder of the result.
# Usage: scripts/opencv.sh [amd64|arm64]; arm64 is cross-built on amd64.
set -euo pipefail
cd "$(dirname "$0")/.."
architecture=${1:-$(dpkg --print-architecture)}
# The very versions of Debian 12; apt verifies their signatures.
opencv=4.6.0+dfsg-12
ffmpeg=7:5.1.9-0+deb12u1

say() { printf 'opencv: %s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# What drivers/rtsp needs: the relay's stream over TCP, the three video formats, JPEG.
ffmpeg_options=(--enable-shared --disable-static --disable-everything --disable-autodetect --disable-programs
  --disable-doc --disable-debug --disable-avdevice --disable-avfilter --disable-postproc --disable-swresample
  --enable-pthreads --toolchain=hardened --enable-demuxer=rtsp --enable-protocol=tcp
  --enable-decoder=h264,hevc,mjpeg --enable-parser=h264,hevc,mjpeg
  --enable-bsf=extract_extradata,h264_mp4toannexb,hevc_mp4toannexb)
flags="-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections"
opencv_options=(-DBUILD_LIST=core,imgproc,imgcodecs,videoio -DBUILD_SHARED_LIBS=OFF -DCMAKE_BUILD_TYPE=Release
  -DBUILD_INFO_SKIP_TIMESTAMP=ON -DBUILD_INFO_SKIP_SYSTEM_VERSION=ON -DOPENCV_DOWNLOAD_TRIES_LIST=
  -DWITH_FFMPEG=ON -DWITH_JPEG=ON -DBUILD_TESTS=OFF -DBUILD_PERF_TESTS=OFF -DBUILD_EXAMPLES=OFF
  -DBUILD_opencv_apps=OFF -DBUILD_JAVA=OFF -DBUILD_opencv_python3=OFF -DBUILD_DOCS=OFF -DOPENCV_GENERATE_PKGCONFIG=OFF
  -DENABLE_PRECOMPILED_HEADERS=OFF)
for unused in 1394 ADE CAROTENE EIGEN GDAL GDCM GSTREAMER GTK IMGCODEC_HDR IMGCODEC_PFM IMGCODEC_PXM IMGCODEC_SUNRASTER \
  IPP ITT JASPER LAPACK OPENCL OPENEXR OPENGL OPENJPEG PNG PROTOBUF QT QUIRC TBB TIFF V4L VTK WEBP; do
  opencv_options+=("-DWITH_$unused=OFF")
done
case $architecture in
  # The baseline is Debian's, so that pictures are the same; faster paths are chosen at run time.
  amd64) opencv_options+=(-DCPU_BASELINE=SSE2 -DCPU_BASELINE_DISABLE=SSE3) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) say "unsupported architecture: $architecture"; exit 1 ;;
esac
jpeg=1:2.1.5-2 zlib=1:1.2.13.dfsg-1
key=$(echo "$opencv $ffmpeg $jpeg $zlib $flags ${ffmpeg_options[*]} ${opencv_options[*]}" | sha256sum | cut -c1-12)
out=$PWD/.deps/opencv-minimal/$architecture-$key
[ ! -d "$out" ] || { echo "$out"; exit 0; }

say "building OpenCV ${opencv%%+*} and FFmpeg ${ffmpeg#*:} for $architecture (15 minutes on two cores, once)"
tools=(dpkg-dev cmake make g++ nasm pkg-config patchelf)
cross='' # the tools' prefix
if [ "$architecture" != "$(dpkg --print-architecture)" ]; then
  tools+=("g++-${triplet//_/-}")
  cross=$triplet-
fi
missing=()
for tool in "${tools[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$tool" 2>/dev/null || true)" = installed ] || missing+=("$tool")
done
[ ${#missing[@]} = 0 ] || as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

build=$PWD/.deps/opencv-minimal/building-$architecture
rm -rf "$build" && mkdir -p "$build"/{lists/partial,archives/partial,sysroot,tree}
trap 'rm -rf "$build"' EXIT
# Lists of its own, so that the machine's own sources stay as they are.
cat >"$build/sources.list" <<LIST
deb [arch=$architecture] http://deb.debian.org/debian bookworm main
deb [arch=$architecture] http://deb.debian.org/debian-security bookworm-security main
deb-src http://deb.debian.org/debian bookworm main
deb-src http://deb.debian.org/debian-security bookworm-security main
LIST
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$build/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$build/lists" -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Sandbox::User=root "$@" >&2
}
apt update
cd "$build"
apt source "opencv=$opencv" "ffmpeg=$ffmpeg" ||
  { say "Debian has another version now: see 'rmadison opencv ffmpeg' and change the pins in scripts/opencv.sh"; exit 1; }
apt download "libjpeg62-turbo-dev=$jpeg" "libjpeg62-turbo=$jpeg" "zlib1g-dev=$zlib" "zlib1g=$zlib"
for deb in *.deb; do dpkg-deb -x "$deb" sysroot; done
if [ -n "$cross" ]; then
  # For dpkg-shlibdeps, which cannot ask this machine's dpkg about another architecture.
  apt download libc6 libgcc-s1 libstdc++6
  for package in libc6 libgcc-s1 libstdc++6 libjpeg62-turbo zlib1g; do
    mkdir -p "packages/$package" && dpkg-deb -R "$package"_*.deb "packages/$package"
  done
fi
libraries=$build/sysroot/usr/lib/$triplet

say "FFmpeg (2 minutes)"
prefix=/usr/lib/meltwatch
cross_options=()
[ -z "$cross" ] || cross_options=(--enable-cross-compile --target-os=linux "--arch=${triplet%%-*}" "--cross-prefix=$cross")
cd "$build"/ffmpeg-*/
# No debug information and relative paths: the bytes do not depend on this folder.
./configure --prefix=$prefix --libdir=$prefix --shlibdir=$prefix "${ffmpeg_options[@]}" "${cross_options[@]}" >"$build/log" ||
  { tail -30 "$build/log" ffbuild/config.log >&2; exit 1; }
nice -n 10 make -j2 >"$build/log" 2>&1 || { tail -30 "$build/log" >&2; exit 1; }
make DESTDIR="$build/tree" install >"$build/log" 2>&1

say "OpenCV (10 minutes)"
cd "$build"/opencv-*/
flags="$flags -ffile-prefix-map=$PWD=."
if [ -n "$cross" ]; then
  opencv_options+=(-DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=${triplet%%-*}"
    "-DCMAKE_C_COMPILER=${cross}gcc" "-DCMAKE_CXX_COMPILER=${cross}g++")
fi
export CPATH=$build/sysroot/usr/include/$triplet # where jconfig.h and zconf.h are
export PKG_CONFIG_LIBDIR=$build/tree$prefix/pkgconfig PKG_CONFIG_SYSROOT_DIR=$build/tree
cmake -S . -B "$build/cmake" "${opencv_options[@]}" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
  -DJPEG_INCLUDE_DIR="$build/sysroot/usr/include" -DJPEG_LIBRARY="$libraries/libjpeg.so" \
  -DZLIB_INCLUDE_DIR="$build/sysroot/usr/include" -DZLIB_LIBRARY="$libraries/libz.so" >"$build/log" 2>&1 ||
  { tail -30 "$build/log" >&2; exit 1; }
grep -Eq 'FFMPEG: +YES' "$build/log" || { say "OpenCV does not find FFmpeg:"; cat "$build/log" >&2; exit 1; }
# The text of getBuildInformation() names the folder.
echo '"built by scripts/opencv.sh of Meltwatch\n"' >"$build/cmake/modules/core/version_string.inc"
nice -n 10 make -C "$build/cmake" -j2 >"$build/make.log" 2>&1 || { grep -B5 -A20 -m1 'rror' "$build/make.log" >&2; exit 1; }

result=$build/result
mkdir -p "$result"/{lib,link,pkgconfig,packages}
for library in avcodec avformat avutil swscale; do
  real=$(readlink -f "$build/tree$prefix/lib$library.so")
  soname=$(readelf -d "$real" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
  cp "$real" "$result/lib/$soname"
  "${cross}strip" --strip-unneeded "$result/lib/$soname"
  patchelf --set-rpath '$ORIGIN' "$result/lib/$soname"
  ln -s "../lib/$soname" "$result/link/lib$library.so"
done
cp "$build"/cmake/lib/libopencv_*.a "$result/link/"
cp -L "$libraries/libjpeg.so" "$result/link/libjpeg.so"
cp -L "$libraries/libz.so" "$result/link/libz.so"
# gocv asks pkg-config for its libraries. The headers are those of Debian's libopencv-dev of the
# same version: gocv includes every module's, and calls into those that are missing here are
# dropped by the linker.
cat >"$result/pkgconfig/opencv4.pc" <<PC
Name: OpenCV
Description: core, imgproc, imgcodecs and videoio alone
Version: ${opencv%%+*}
Cflags: -I/usr/include/opencv4
Libs: -L\${pcfiledir}/../link -lopencv_videoio -lopencv_imgcodecs -lopencv_imgproc -lopencv_core -lavformat -lavcodec -lswscale -lavutil -ljpeg -lz -ldl -lm -lpthread
PC
for source in opencv ffmpeg; do cp "$build/$source"-*/debian/copyright "$result/$source.copyright"; done
echo "$opencv $ffmpeg" >"$result/versions"
if [ -n "$cross" ]; then
  cp -r "$build/packages" "$result/"
fi
rm -rf "$out"
mv "$result" "$out"
say "built in $((SECONDS / 60)) minutes"
echo "$out"

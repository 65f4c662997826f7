#!/usr/bin/env bash
# Builds dist/meltwatch_*.deb and dist/meltctl_*.deb with a list of their parts each (SBOM).
# The same commit gives the same bytes. Usage: scripts/deb.sh [amd64|arm64]; without an
# argument for this machine. arm64 is cross-built on amd64. With CHILDREN=no the agent is
# packed alone: it reads the meters and decides by the rule.
set -euo pipefail
cd "$(dirname "$0")/.."
release=0.4.0
tool=v2.41.3
here=$(dpkg --print-architecture)
architecture=${1:-$here}

say() { printf 'deb: %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! command -v dpkg-shlibdeps >/dev/null; then
  say "installing dpkg-dev from Debian"
  as_root apt-get install -y -qq --no-install-recommends dpkg-dev >/dev/null
fi
with_children=${CHILDREN:-yes}
children=''
[ "$with_children" = no ] || children=$(scripts/cgo.sh "$architecture")

nfpm=.deps/bin/nfpm
if ! "$nfpm" --version 2>/dev/null | grep -q "${tool#v}"; then
  say "building nfpm $tool (1 minute)"
  # The checksum database of Go modules verifies the download.
  GOBIN=$PWD/.deps/bin go install -ldflags "-X main.version=${tool#v}" "github.com/goreleaser/nfpm/v2/cmd/nfpm@$tool"
fi

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
commit=$(git rev-parse --short=10 HEAD)
if [ "$(git describe --tags --exact-match 2>/dev/null || true)" = "v$release" ]; then
  version=$release
else
  # Sorts before the release itself, and by the commit's date.
  version=$release~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M).$commit
fi
git diff --quiet HEAD || version=$version.changed

root=dist/tree
rm -rf $root dist/*_"$architecture".* && mkdir -p $root/{bin,lib,man,completion,doc}
# The page's charts are inside the agent.
scripts/page.sh
vendor=agent/web/static/vendor
[ -e $vendor/uPlot.iife.min.js ] || { say "uPlot, the charts' library, is missing and cannot be fetched"; exit 1; }
charts="uplot=$(cat $vendor/.version)=MIT=npm==$vendor/LICENSE"
say "building the programs of $version for $architecture (3 minutes the first time)"
flags=(-trimpath -ldflags "-s -w -buildid= -X main.version=$version")
for program in meltwatch meltctl; do
  CGO_ENABLED=0 GOARCH=$architecture go build "${flags[@]}" -o $root/bin/ ./cmd/$program
done
depends=procps # kill, by which systemd has the agent read its file again
if [ "$with_children" != no ]; then
  eval "$children"
  go build -buildmode=pie "${flags[@]}" -o $root/lib/ ./cmd/meltwatch-camera ./cmd/meltwatch-infer
  cp -L "$TENSORFLOW"/lib/*.so.[0-9]* "$OPENCV"/lib/*.so.* $root/lib/
  "${CROSS}strip" --strip-unneeded $root/lib/*.so.*

  say "dependencies"
  mkdir -p dist/shlibs/debian && touch dist/shlibs/debian/control
  # The libraries of another architecture are not installed here, but unpacked with their
  # packages' own lists of symbols.
  places=()
  [ -z "$CROSS" ] || for place in "$OPENCV"/packages/*; do places+=("-S$place"); done
  depends=$(cd dist/shlibs && DEB_HOST_ARCH=$architecture dpkg-shlibdeps -O --ignore-missing-info "${places[@]}" -l../tree/lib ../tree/lib/meltwatch-{camera,infer} ../tree/lib/*.so.* 2>../shlibs.log |
    sed -n 's/^shlibs:Depends=//p' | tr ',' '\n' | sed 's/^ *//' |
    grep -vE '^lib(av|sw)[a-z]+[0-9]+ ' | paste -sd, | sed 's/,/, /g') # a build machine may have Debian's FFmpeg, too
  # The package's own libraries have no such lists, so missing ones are passed over; these must be found.
  depends="procps, $depends"
  for package in libc6 'libstdc++6' libjpeg62-turbo; do
    [[ $depends == *"$package"* ]] || { say "dpkg-shlibdeps did not find $package:"; cat dist/shlibs.log; exit 1; }
  done
fi

# Programs print the same on every architecture; those of this machine can be run.
own=$root/bin
if [ "$architecture" != "$here" ]; then
  own=$root/own && mkdir $own
  for program in meltwatch meltctl; do
    CGO_ENABLED=0 GOARCH=$here go build "${flags[@]}" -o $own/ ./cmd/$program
  done
fi
for program in meltwatch meltctl; do
  $own/$program --man | gzip -9n > $root/man/$program.1.gz
  for shell in bash zsh fish; do
    $own/$program completion $shell --program /usr/bin/$program > $root/completion/$program.$shell
  done
done
# The figures behind docs/comparison.md and docs/left-out.md serve nobody beside a furnace.
git ls-files docs | grep -Ev '^docs/(comparison|left-out)/.*\.json$|\.go$' | while read -r file; do
  install -D -m 644 "$file" "$root/$file"
done

say "list of parts"
# sbom NAME [OPTIONS] PROGRAM...
sbom() {
  local name=$1
  shift
  scripts/sbom.py --name "$name" --version "$version" --time "$SOURCE_DATE_EPOCH" \
    --sbom "dist/${name}_${version}_$architecture.cdx.json" --licences $root/doc/$name.licences "$@"
  gzip -9n $root/doc/$name.licences
}
sbom meltctl $root/bin/meltctl
if [ "$with_children" = no ]; then
  sbom meltwatch --linked "$depends" --shipped "$charts" $root/bin/meltwatch
else
  pins=$(cat "$OPENCV/versions") # "OPENCV FFMPEG"
  tensorflow_version=$(sed -n 's/^tensorflow=//p' scripts/tensorflow.sh)
  opencv_version=${pins% *} ffmpeg_version=${pins#* }
  sbom meltwatch --linked "$depends" --shipped "$charts" \
    --shipped "tensorflow=$tensorflow_version=Apache-2.0=pypi=$(find $root/lib -name 'libtensorflow_*' -o -name 'libomp-*' | sort | paste -sd,)=$TENSORFLOW/THIRD_PARTY_NOTICES.txt" \
    --shipped "opencv=$opencv_version=Apache-2.0=deb/debian==$OPENCV/opencv.copyright" \
    --shipped "ffmpeg=$ffmpeg_version=LGPL-2.1-or-later=deb/debian=$(echo $root/lib/lib{av,sw}*.so.* | tr ' ' ,)=$OPENCV/ffmpeg.copyright" \
    $root/bin/meltwatch $root/lib/meltwatch-camera $root/lib/meltwatch-infer
fi

maintainer='The Meltwatch authors <authors@meltwatch.example>'
# Debian's own format; what changed stands in CHANGELOG.md.
for package in meltwatch meltctl; do
  printf '%s (%s) bookworm; urgency=medium\n\n  * See CHANGELOG.md beside this file.\n\n -- %s  %s\n' \
    $package "$version" "$maintainer" "$(date -uR -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > $root/doc/$package.gz
done

# package NAME DESCRIPTION prints the part of a description that both packages share.
package() {
  cat <<YAML
name: $1
arch: $architecture
version: "$version"
version_schema: none
mtime: "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
section: misc
priority: optional
maintainer: $maintainer
description: |
$(sed 's/^/  /' <<<"$2")
deb: {compression: gzip}
umask: 0o022
YAML
}

# files NAME prints the contents that both packages have.
files() {
  cat <<YAML
contents:
  - {src: $root/bin/$1, dst: /usr/bin/$1, file_info: {mode: 0755}}
  - {src: $root/man/$1.1.gz, dst: /usr/share/man/man1/$1.1.gz, file_info: {mode: 0644}}
  - {src: $root/completion/$1.bash, dst: /usr/share/bash-completion/completions/$1, file_info: {mode: 0644}}
  - {src: $root/completion/$1.zsh, dst: /usr/share/zsh/vendor-completions/_$1, file_info: {mode: 0644}}
  - {src: $root/completion/$1.fish, dst: /usr/share/fish/vendor_completions.d/$1.fish, file_info: {mode: 0644}}
  - {src: dist/${1}_${version}_$architecture.cdx.json, dst: /usr/share/doc/$1/$1.cdx.json, file_info: {mode: 0644}}
  - {src: $root/doc/$1.licences.gz, dst: /usr/share/doc/$1/LICENCES.gz, file_info: {mode: 0644}}
  - {src: packaging/copyright, dst: /usr/share/doc/$1/copyright, file_info: {mode: 0644}}
  - {src: $root/doc/$1.gz, dst: /usr/share/doc/$1/changelog.gz, file_info: {mode: 0644}}
  - {src: CHANGELOG.md, dst: /usr/share/doc/$1/CHANGELOG.md, file_info: {mode: 0644}}
  - {src: packaging/$1.lintian, dst: /usr/share/lintian/overrides/$1, file_info: {mode: 0644}}
YAML
}

{
  package meltctl 'configuration and models of many Meltwatch agents
 Lists the agents that a broker knows, changes their configuration in stages,
 rolls models out and makes the files of new boxes.'
  files meltctl
} > dist/meltctl.yaml
description='watch of an electric furnace
 Reads the three-phase current over Modbus and the pictures of an RTSP camera,
 decides with a TensorFlow model whether the furnace is abnormal, and
 publishes the state over MQTT.'
if [ "$with_children" = no ]; then
  description=$description'
 .
 This build lacks the camera and the model (meltwatch-camera, meltwatch-infer):
 set camera.enabled to false, and the variation of the current alone decides.'
fi
{
  package meltwatch "$description"
  echo 'depends:'
  tr ',' '\n' <<<"$depends" | sed 's/^ */  - "/; s/$/"/'
  echo 'recommends: [mosquitto-clients]'
  cat <<YAML
scripts: {postinstall: packaging/postinst, preremove: packaging/prerm, postremove: packaging/postrm}
YAML
  files meltwatch
  for file in $(ls $root/lib); do
    mode=0644
    [[ $file != meltwatch-* ]] || mode=0755
    echo "  - {src: $root/lib/$file, dst: /usr/lib/meltwatch/$file, file_info: {mode: $mode}}"
  done
  cat <<YAML
  - {src: inference/models/product, dst: /usr/share/meltwatch/models/product, type: tree}
  - {src: systemd/meltwatch.service, dst: /usr/lib/systemd/system/meltwatch.service, file_info: {mode: 0644}}
  - {src: config/sample.yaml, dst: /etc/meltwatch/meltwatch.yaml, type: config, file_info: {mode: 0644}}
  - {src: README.md, dst: /usr/share/doc/meltwatch/README.md, file_info: {mode: 0644}}
  - {src: NOTICE, dst: /usr/share/doc/meltwatch/NOTICE, file_info: {mode: 0644}}
  - {src: $root/docs, dst: /usr/share/doc/meltwatch/docs, type: tree}
YAML
} > dist/meltwatch.yaml

say "packing (1 minute)"
for name in meltctl meltwatch; do
  "$nfpm" package --config dist/$name.yaml --packager deb --target dist/ >/dev/null
done
rm -rf dist/tree dist/shlibs dist/*.yaml dist/shlibs.log
for deb in dist/*_"$architecture".deb; do
  say "$deb: $(($(stat -c %s "$deb") >> 20)) MiB, $(sha256sum "$deb" | cut -c1-16)"
done

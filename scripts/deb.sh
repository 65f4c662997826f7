#!/usr/bin/env bash
# Builds dist/meltwatch_*.deb and dist/meltctl_*.deb. The same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
release=0.4.0
tool=v2.41.3

say() { printf 'deb: %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

for command in patchelf dpkg-shlibdeps; do
  command -v "$command" >/dev/null && continue
  say "installing patchelf and dpkg-dev from Debian"
  as_root apt-get install -y -qq --no-install-recommends patchelf dpkg-dev >/dev/null
done
nfpm=.deps/bin/nfpm
if ! "$nfpm" --version 2>/dev/null | grep -q "${tool#v}"; then
  say "building nfpm $tool (1 minute)"
  # The checksum database of Go modules verifies the download.
  GOBIN=$PWD/.deps/bin go install -ldflags "-X main.version=${tool#v}" "github.com/goreleaser/nfpm/v2/cmd/nfpm@$tool"
fi

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) say "unsupported machine: $(uname -m)"; exit 1 ;; esac
commit=$(git rev-parse --short=10 HEAD)
if [ "$(git describe --tags --exact-match 2>/dev/null || true)" = "v$release" ]; then
  version=$release
else
  # Sorts before the release itself, and by the commit's date.
  version=$release~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M).$commit
fi
git diff --quiet HEAD || version=$version.changed

root=dist/tree
rm -rf dist && mkdir -p $root/{bin,lib,man,completion,doc}
say "building the programs of $version (3 minutes the first time)"
flags=(-trimpath -ldflags "-s -w -buildid= -X main.version=$version")
for program in meltwatch meltctl; do
  CGO_ENABLED=0 go build "${flags[@]}" -o $root/bin/ ./cmd/$program
done
# Sections of their own let the linker leave out what the children never call.
export CGO_CXXFLAGS="-O2 -ffunction-sections -fdata-sections"
export CGO_CFLAGS="$CGO_CFLAGS $CGO_CXXFLAGS"
export CGO_LDFLAGS="$CGO_LDFLAGS -Wl,--gc-sections"
go build "${flags[@]}" -o $root/lib/ ./cmd/meltwatch-camera ./cmd/meltwatch-infer
cp -L .deps/libtensorflow/lib/libtensorflow_{cc,framework}.so.2 $root/lib/
# The linker names every library on its command line. A child must not require those
# that nothing in it refers to: one of them brings a graphical desktop along.
for program in $root/lib/meltwatch-{camera,infer}; do
  patchelf --set-rpath '$ORIGIN' $program
  # ldd prints nothing and succeeds if every library is used.
  for library in $(LD_LIBRARY_PATH='' ldd -u $program | grep -o 'libopencv_[^ ]*' || true); do
    patchelf --remove-needed "$library" $program
  done
done

say "dependencies"
mkdir -p dist/shlibs/debian && touch dist/shlibs/debian/control
depends=$(cd dist/shlibs && dpkg-shlibdeps -O --ignore-missing-info -l../tree/lib ../tree/lib/meltwatch-{camera,infer} ../tree/lib/libtensorflow_*.so.2 2>../shlibs.log |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { say "dpkg-shlibdeps found no dependency:"; cat dist/shlibs.log; exit 1; }

for program in meltwatch meltctl; do
  $root/bin/$program --man | gzip -9n > $root/man/$program.1.gz
  for shell in bash zsh fish; do
    $root/bin/$program completion $shell --program /usr/bin/$program > $root/completion/$program.$shell
  done
done
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
{
  package meltwatch 'watch of an electric furnace
 Reads the three-phase current over Modbus and the pictures of an RTSP camera,
 decides with a TensorFlow model whether the furnace is abnormal, and
 publishes the state over MQTT.'
  echo 'depends:'
  tr ',' '\n' <<<"$depends" | sed 's/^ */  - "/; s/$/"/'
  echo 'recommends: [mosquitto-clients]'
  cat <<YAML
scripts: {postinstall: packaging/postinst, preremove: packaging/prerm, postremove: packaging/postrm}
YAML
  files meltwatch
  for program in meltwatch-camera meltwatch-infer; do
    echo "  - {src: $root/lib/$program, dst: /usr/lib/meltwatch/$program, file_info: {mode: 0755}}"
  done
  for library in libtensorflow_cc.so.2 libtensorflow_framework.so.2; do
    echo "  - {src: $root/lib/$library, dst: /usr/lib/meltwatch/$library, file_info: {mode: 0644}}"
  done
  cat <<YAML
  - {src: inference/models/product, dst: /usr/share/meltwatch/models/product, type: tree}
  - {src: systemd/meltwatch.service, dst: /usr/lib/systemd/system/meltwatch.service, file_info: {mode: 0644}}
  - {src: config/sample.yaml, dst: /etc/meltwatch/meltwatch.yaml, type: config, file_info: {mode: 0644}}
  - {src: README.md, dst: /usr/share/doc/meltwatch/README.md, file_info: {mode: 0644}}
  - {src: NOTICE, dst: /usr/share/doc/meltwatch/NOTICE, file_info: {mode: 0644}}
  - {src: docs, dst: /usr/share/doc/meltwatch/docs, type: tree}
YAML
} > dist/meltwatch.yaml

say "packing (1 minute)"
for name in meltctl meltwatch; do
  "$nfpm" package --config dist/$name.yaml --packager deb --target dist/ >/dev/null
done
rm -rf dist/tree dist/shlibs dist/*.yaml dist/shlibs.log
for deb in dist/*.deb; do
  say "$deb: $(($(stat -c %s "$deb") >> 20)) MiB, $(sha256sum "$deb" | cut -c1-16)"
done

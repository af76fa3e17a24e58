#!/usr/bin/env bash
# Unpacks ExecuTorch's classes and libraries for Android: fetch-executorch.sh OUT_DIR VERSION SHA256
#
# They come from the npm package react-native-executorch, a third party's build, because the official AAR was not
# to be had. npm fetches the package once, into the user's cache. For the Maven build only: Gradle uses the AAR.
set -euo pipefail

out=${1:?usage: fetch-executorch.sh OUT_DIR VERSION SHA256}
version=$2 sha256=$3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lvt-mobile
package=$cache/react-native-executorch-$version.tgz

if [ ! -f "$package" ]; then
  command -v npm >/dev/null || { echo "fetch-executorch.sh: npm is not installed; install Node.js" >&2; exit 2; }
  mkdir -p "$cache"
  fetched=$(mktemp -d "$cache/npm-XXXXXX")
  trap 'rm -rf "$fetched"' EXIT
  npm pack --silent --ignore-scripts --pack-destination "$fetched" "react-native-executorch@$version" >/dev/null ||
    { echo "fetch-executorch.sh: npm cannot fetch react-native-executorch $version" >&2; exit 2; }
  mv "$fetched"/*.tgz "$package"
fi
echo "$sha256  $package" | sha256sum --check --status ||
  { echo "fetch-executorch.sh: $package is damaged; delete it" >&2; exit 2; }

rm -rf "$out" && mkdir -p "$out/jni"
tar -xzf "$package" -C "$out" --strip-components=3 package/android/libs/classes.jar
tar -xzf "$package" -C "$out/jni" --strip-components=5 package/third-party/android/libs/executorch

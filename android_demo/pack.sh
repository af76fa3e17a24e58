#!/usr/bin/env bash
# Packs an APK without Android's SDK: pack.sh OUT.apk [APP]
#
# Takes Debian's aapt2 with Android 10's resources (packages aapt, android-framework-res), zipalign,
# apksigner, and a JDK. The code comes from `make android`; without it the APK has none. APP is the
# Gradle module, beside this file if not given.
#
# An APK to look at, not to ship: ONNX Runtime's native library is not in it (its AAR cannot be had
# here), nothing is shrunk, and its key is made up on the spot. Gradle makes the real one.
set -euo pipefail

out=${1:?usage: pack.sh OUT.apk [APP]}
here=$(cd "$(dirname "$0")" && pwd)
app=${2:-$here/app}
framework=/usr/share/android-framework-res/framework-res.apk
gradle=$app/build.gradle.kts

for tool in aapt2 zipalign apksigner jar keytool; do
  command -v "$tool" >/dev/null || { echo "pack.sh: $tool is not installed" >&2; exit 2; }
done
[ -f "$framework" ] || { echo "pack.sh: $framework is missing: install android-framework-res" >&2; exit 2; }

# `name = value` or `name = "value"` of the Gradle module, which both builds follow.
setting() { sed -nE "s/^ *$1 = \"?([^\" ]+)\"?.*/\\1/p" "$gradle" | head -n 1; }
package=$(setting applicationId)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What Gradle does to a manifest before aapt2 sees it.
sed -e "s/<manifest /<manifest package=\"$(setting namespace)\" /" \
  -e '/tools:node="remove"/d' -e "s/\${applicationId}/$package/" \
  "$app/src/main/AndroidManifest.xml" >"$work/AndroidManifest.xml"
aapt2 compile --dir "$app/src/main/res" -o "$work/res.zip"
# This aapt2 is older than <uses-native-library>: it links the element all the same, and warns.
aapt2 link --warn-manifest-validation -I "$framework" -A "$app/src/main/assets" --manifest "$work/AndroidManifest.xml" \
  --rename-manifest-package "$package" \
  --min-sdk-version "$(setting minSdk)" --target-sdk-version "$(setting targetSdk)" \
  --version-code "$(setting versionCode)" --version-name "$(setting versionName)" \
  -o "$work/linked.apk" "$work/res.zip" 2> >(grep -v 'unexpected element <uses-native-library>' >&2)

mkdir "$work/code"
cp "$here"/dex/target/dex/*.dex "$work/code" 2>/dev/null ||
  echo "pack.sh: no code in it: make android compiles it" >&2
for abi in arm64-v8a x86_64; do
  for library in "$here"/aar/target/tensorflow-lite*/jni/"$abi"/*.so; do
    if [ -f "$library" ]; then mkdir -p "$work/code/lib/$abi" && cp "$library" "$work/code/lib/$abi"; fi
  done
done
[ -z "$(ls "$work/code")" ] || jar --update --no-manifest --file "$work/linked.apk" -C "$work/code" .

zipalign -p 4 "$work/linked.apk" "$work/aligned.apk"
keytool -genkeypair -keystore "$work/key" -storepass android -alias key -keyalg RSA -keysize 2048 \
  -validity 30 -dname "CN=not for release" 2>/dev/null
apksigner sign --ks "$work/key" --ks-pass pass:android --out "$work/signed.apk" "$work/aligned.apk"
apksigner verify "$work/signed.apk"
mkdir -p "$(dirname "$out")"
mv "$work/signed.apk" "$out"

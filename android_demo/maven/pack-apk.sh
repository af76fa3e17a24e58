#!/usr/bin/env bash
# Builds an APK without the Android SDK: pack-apk.sh OUT.apk [APP]
#
# Requires aapt2, the Android 10 resources (Debian packages aapt, android-framework-res), zipalign,
# apksigner and a JDK. `make android` compiles the code; without it the APK contains no code. APP is
# the folder of the Gradle module (default: android_demo/app).
#
# For inspection only. The APK does not contain ONNX Runtime's native library (Maven Central does not
# have its AAR), the code is not shrunk, and the signing key is temporary. Use Gradle for a release.
set -euo pipefail

out=${1:?usage: pack-apk.sh OUT.apk [APP]}
here=$(cd "$(dirname "$0")" && pwd)
app=${2:-$here/../app}

for tool in aapt2 zipalign apksigner jar keytool; do
  command -v "$tool" >/dev/null || { echo "pack-apk.sh: $tool is not installed" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here"/link-resources.sh "$work/linked" "$app"
mv "$work/linked/linked.apk" "$work/linked.apk"

mkdir "$work/code"
cp "$here"/dex-check/target/dex/*.dex "$work/code" 2>/dev/null ||
  echo "pack-apk.sh: the APK contains no code; run make android first" >&2
for abi in arm64-v8a x86_64; do
  for library in "$here"/litert-classes/target/tensorflow-lite*/jni/"$abi"/*.so \
    "$here"/executorch-classes/target/{executorch,fbjni}/jni/"$abi"/*.so; do
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

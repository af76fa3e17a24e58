#!/usr/bin/env bash
# Links manifest and resources without the Android SDK: link-resources.sh OUT_DIR [APP]
#
# Writes OUT_DIR/AndroidManifest.xml, OUT_DIR/linked.apk and OUT_DIR/java/**/R.java. Requires aapt2 and the
# Android 10 resources (Debian packages aapt, android-framework-res). APP is the folder of the Gradle module
# (default: android_demo/app).
set -euo pipefail

out=${1:?usage: link-resources.sh OUT_DIR [APP]}
here=$(cd "$(dirname "$0")" && pwd)
app=${2:-$here/../app}
framework=/usr/share/android-framework-res/framework-res.apk
gradle=$app/build.gradle.kts

command -v aapt2 >/dev/null || { echo "link-resources.sh: aapt2 is not installed; install the package aapt" >&2; exit 2; }
[ -f "$framework" ] || { echo "link-resources.sh: $framework is missing; install the package android-framework-res" >&2; exit 2; }

# Reads `name = value` or `name = "value"` from build.gradle.kts, so that both builds use the same values.
setting() { sed -nE "s/^ *$1 = \"?([^\" ]+)\"?.*/\\1/p" "$gradle" | head -n 1; }
package=$(setting applicationId)

rm -rf "$out" && mkdir -p "$out/java"
# Gradle makes the same changes to the manifest before it calls aapt2.
sed -e "s/<manifest /<manifest package=\"$(setting namespace)\" /" \
  -e '/tools:node="remove"/d' -e "s/\${applicationId}/$package/" \
  "$app/src/main/AndroidManifest.xml" >"$out/AndroidManifest.xml"
aapt2 compile --dir "$app/src/main/res" -o "$out/res.zip"
# This aapt2 is older than <uses-native-library>. It links the element and prints a warning.
aapt2 link --warn-manifest-validation -I "$framework" -A "$app/src/main/assets" --manifest "$out/AndroidManifest.xml" \
  --rename-manifest-package "$package" --java "$out/java" \
  --min-sdk-version "$(setting minSdk)" --target-sdk-version "$(setting targetSdk)" \
  --version-code "$(setting versionCode)" --version-name "$(setting versionName)" \
  -o "$out/linked.apk" "$out/res.zip" 2> >(grep -v 'unexpected element <uses-native-library>' >&2)

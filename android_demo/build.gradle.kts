plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.kotlin.jvm) apply false // its version is also that of the app's built-in Kotlin
    alias(libs.plugins.kotlin.serialization) apply false
}

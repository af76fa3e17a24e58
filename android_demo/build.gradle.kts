plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.kotlin.jvm) apply false // also sets the version of the built-in Kotlin of the Android Gradle Plugin
    alias(libs.plugins.kotlin.serialization) apply false
}

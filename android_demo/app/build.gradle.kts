plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "org.lvtmobile.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.lvtmobile.app"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") } // phones and the emulator
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
            // Lets you install and measure a release build. To publish the app, use your own signing key.
            signingConfig = signingConfigs.getByName("debug")
        }
    }

    // Qualcomm's libraries for the NPU, if they were added; see "The NPU of Snapdragon phones" in docs/android.md.
    // The NPU opens its library as a file, so Android must unpack the libraries, and its code is not for the
    // tool that strips symbols.
    packaging.jniLibs {
        useLegacyPackaging = file("src/main/jniLibs/arm64-v8a/libQnnHtp.so").exists()
        keepDebugSymbols += "**/libQnn*.so"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    testOptions.unitTests.isIncludeAndroidResources = true
    testOptions.unitTests.all {
        it.useJUnitPlatform()
        it.jvmArgs("--add-opens", "java.base/java.io=ALL-UNNAMED") // Robolectric closes files through a private field
        it.systemProperty("lvt.app", projectDir)
        it.systemProperty("lvt.golden", rootDir.resolve("../tests/golden"))
        it.systemProperty("lvt.artifact", rootDir.resolve("../out/demo_panoptic_256x320_whole.onnx"))
        it.systemProperty("lvt.parts", rootDir.resolve("../out/demo_panoptic_256x320.onnx-parts"))
    }
}

kotlin {
    compilerOptions {
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17
        allWarningsAsErrors = true
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.onnxruntime.android)
    implementation(libs.litert)
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    implementation(libs.executorch.android)
    testImplementation(libs.junit.jupiter)
    testImplementation(libs.robolectric)
    testImplementation(libs.onnxruntime) // contains the native library for the desktop
    testRuntimeOnly(libs.junit.vintage)
    testRuntimeOnly(libs.junit.launcher)
}

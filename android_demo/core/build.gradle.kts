plugins {
    alias(libs.plugins.kotlin.jvm)
    alias(libs.plugins.kotlin.serialization)
}

kotlin {
    compilerOptions {
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17
        allWarningsAsErrors = true
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
}

dependencies {
    api(libs.serialization.json)
    // The app provides onnxruntime-android, which has the same classes.
    compileOnly(libs.onnxruntime)
    testImplementation(libs.onnxruntime)
    testImplementation(libs.junit.jupiter)
    testRuntimeOnly(libs.junit.launcher)
}

tasks.test {
    useJUnitPlatform()
    systemProperty("lvt.golden", rootDir.resolve("../tests/golden"))
    systemProperty("lvt.artifact", rootDir.resolve("../out/demo_panoptic_256x320_whole.onnx"))
    systemProperty("lvt.parts", rootDir.resolve("../out/demo_panoptic_256x320.onnx-parts"))
}

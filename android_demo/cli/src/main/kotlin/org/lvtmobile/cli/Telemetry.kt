package org.lvtmobile.cli

import com.sun.jna.Library
import com.sun.jna.Native
import com.sun.jna.Platform

/** The part of the C library that changes the environment which native libraries read. */
private interface CLibrary : Library {
    fun setenv(name: String, value: String, overwrite: Int): Int

    @Suppress("FunctionName") // Windows' name
    fun _putenv_s(name: String, value: String): Int
}

/**
 * Switches ONNX Runtime's telemetry off, which writes into the user's home and starts a thread when the
 * library loads. Java cannot change its own environment, so the C library does.
 */
internal fun switchTelemetryOff() {
    val library = Native.load(if (Platform.isWindows()) "msvcrt" else Platform.C_LIBRARY_NAME, CLibrary::class.java)
    val failed = if (Platform.isWindows()) library._putenv_s(SWITCH, "1") else library.setenv(SWITCH, "1", 1)
    check(failed == 0) { "cannot set $SWITCH" }
}

private const val SWITCH = "ORT_DISABLE_TELEMETRY"

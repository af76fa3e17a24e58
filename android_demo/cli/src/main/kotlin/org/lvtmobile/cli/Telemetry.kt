package org.lvtmobile.cli

import com.sun.jna.Library
import com.sun.jna.Native
import com.sun.jna.Platform

/** C library functions that set environment variables for native libraries. */
private interface CLibrary : Library {
    fun setenv(name: String, value: String, overwrite: Int): Int

    @Suppress("FunctionName") // the name of the function on Windows
    fun _putenv_s(name: String, value: String): Int
}

/**
 * Disables ONNX Runtime's telemetry. Otherwise the library writes to the user's home folder and starts a
 * thread when it loads. Java cannot set environment variables, so this function calls the C library.
 */
internal fun disableTelemetry() {
    val library = Native.load(if (Platform.isWindows()) "msvcrt" else Platform.C_LIBRARY_NAME, CLibrary::class.java)
    val status = if (Platform.isWindows()) library._putenv_s(VARIABLE, "1") else library.setenv(VARIABLE, "1", 1)
    check(status == 0) { "cannot set $VARIABLE" }
}

private const val VARIABLE = "ORT_DISABLE_TELEMETRY"

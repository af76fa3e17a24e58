package org.lvtmobile.app

import android.app.Application
import android.content.Context
import android.system.Os

/**
 * Sets variables that libraries read when they load. ONNX Runtime's telemetry is disabled; the manifest removes
 * the library's own provider, which would load the library earlier.
 */
class DemoApplication : Application() {
    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
        // The NPU loads its own part of Qualcomm's libraries from here, if the app contains them.
        Os.setenv("ADSP_LIBRARY_PATH", base.nativeLibraries.path, true)
    }
}

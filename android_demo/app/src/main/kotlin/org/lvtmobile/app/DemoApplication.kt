package org.lvtmobile.app

import android.app.Application
import android.content.Context
import android.system.Os

/**
 * Disables ONNX Runtime's telemetry before the library is loaded. The manifest removes the library's own
 * provider, which would load the library earlier.
 */
class DemoApplication : Application() {
    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
    }
}

package org.lvtmobile.app

import android.app.Application
import android.content.Context
import android.system.Os

/**
 * Switches ONNX Runtime's telemetry off before anything loads the library. The library's own provider,
 * which would load it even earlier, is taken out of the manifest.
 */
class DemoApplication : Application() {
    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
    }
}

package org.lvtmobile.app

import android.app.Application
import android.content.Context
import android.content.pm.ApplicationInfo
import android.os.StrictMode
import android.system.Os
import org.lvtmobile.core.Runtime
import java.io.File

/**
 * Sets variables that libraries read when they load, and creates what the screens need from outside. Tests replace
 * these by fakes in a subclass.
 *
 * ONNX Runtime's telemetry is disabled; the manifest removes the library's own provider, which would load the library
 * earlier.
 */
open class DemoApplication : Application() {
    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
        // The NPU loads its own part of Qualcomm's libraries from here, if the app contains them.
        Os.setenv("ADSP_LIBRARY_PATH", base.nativeLibraries.path, true)
    }

    override fun onCreate() {
        super.onCreate()
        if (applicationInfo.flags and ApplicationInfo.FLAG_DEBUGGABLE != 0) StrictMode.setThreadPolicy(strictPolicy())
    }

    /** Disk access and the app's own slow calls on the main thread are reported in a debug build. */
    protected open fun strictPolicy(): StrictMode.ThreadPolicy =
        StrictMode.ThreadPolicy.Builder().detectAll().penaltyLog().build()

    /** The runtimes of this app. The first runtime for a target is the default. */
    open fun runtimes(): List<Runtime> = allRuntimes()

    /** A monotonic clock. */
    open fun nanoseconds(): Long = System.nanoTime()

    /** Opens the camera of the main screen. It does not start yet. */
    open fun openCamera(listener: FrameSource.Listener): FrameSource = CameraSource(this, listener)

    /** The folder for benchmark replies, which `adb` reads; null if the shared storage is not available. */
    open fun replyFolder(): File? = getExternalFilesDir("bench")
}

/** The application of this context. */
val Context.demo: DemoApplication get() = applicationContext as DemoApplication

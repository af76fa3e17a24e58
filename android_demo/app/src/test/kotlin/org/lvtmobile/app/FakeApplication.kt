package org.lvtmobile.app

import android.os.StrictMode

/** The app with a fake camera. Slow calls on the main thread end the test. */
open class FakeApplication : DemoApplication() {
    /** The camera of the last screen. */
    lateinit var camera: FakeCamera
        private set

    override fun onCreate() {
        super.onCreate()
        StrictMode.setThreadPolicy(strictPolicy()) // tests are not debuggable
    }

    /** Only what the app itself declares as slow: Robolectric's own code writes files on the main thread. */
    override fun strictPolicy(): StrictMode.ThreadPolicy =
        StrictMode.ThreadPolicy.Builder().detectCustomSlowCalls().penaltyDeath().build()

    override fun openCamera(listener: FrameSource.Listener): FrameSource = FakeCamera(listener).also { camera = it }

}

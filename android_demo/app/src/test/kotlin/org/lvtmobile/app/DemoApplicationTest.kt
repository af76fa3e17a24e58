package org.lvtmobile.app

import android.system.Os
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], application = DemoApplication::class)
class DemoApplicationTest {
    /** The variable must be there before any activity or the runtimes' libraries are. */
    @Test
    fun telemetryIsOffFromTheStart() {
        assertEquals("1", Os.getenv("ORT_DISABLE_TELEMETRY"))
    }
}

package org.lvtmobile.app

import android.system.Os
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements

/** Records the variables. Robolectric's own shadow does nothing, because a JVM cannot change its environment. */
@Implements(Os::class)
class RecordedEnvironment {
    companion object {
        val variables = mutableMapOf<String, String>()

        @JvmStatic
        @Implementation
        @Suppress("UNUSED_PARAMETER") // Android's signature
        fun setenv(name: String, value: String, overwrite: Boolean) {
            variables[name] = value
        }
    }
}

@RunWith(RobolectricTestRunner::class)
@Config(application = DemoApplication::class, shadows = [RecordedEnvironment::class])
class DemoApplicationTest {
    /** The variables must be set before an activity starts or a runtime library loads. */
    @Test
    fun setsVariablesAtStart() {
        assertEquals(
            mapOf("ORT_DISABLE_TELEMETRY" to "1", "ADSP_LIBRARY_PATH" to context.nativeLibraries.path),
            RecordedEnvironment.variables,
        )
    }
}

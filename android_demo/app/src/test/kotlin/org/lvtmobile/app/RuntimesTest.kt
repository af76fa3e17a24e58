package org.lvtmobile.app

import android.os.Build
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.UserError
import org.robolectric.RobolectricTestRunner
import org.robolectric.util.ReflectionHelpers
import java.io.File

@RunWith(RobolectricTestRunner::class)
class RuntimesTest {
    /** Manifests and `lvt-bench` select runtimes by target and name. */
    @Test
    fun `runtimes have unique names and the targets of manifests`() {
        val runtimes = context.demo.runtimes()
        assertEquals(runtimes.size, runtimes.distinctBy { it.name }.size)
        assertEquals(setOf("onnx", "tflite", "executorch", "qnn"), runtimes.map { it.target }.toSet())
    }

    @Test
    fun `Android 11 does not tell the chip`() {
        pushCompiled("stub.qnn")
        val artifact = Artifact.open(File(pushFolder(), "stub.qnn"))
        val before = Build.VERSION.SDK_INT
        ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", Build.VERSION_CODES.R)
        val runtime = try {
            context.demo.runtimes().single { it.target == "qnn" }
        } finally {
            ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", before)
        }
        val error = assertThrows(UserError::class.java) { runtime.open(artifact, threads = 1) }.message.orEmpty()
        assertTrue(error, "Android does not tell this phone's chip; Android 12 and newer do" in error)
    }
}
